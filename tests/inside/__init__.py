import pytest

# A failure in there shows its values, as one in a test module does.
pytest.register_assert_rewrite("tests.inside.world")
