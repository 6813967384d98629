"""The commands of the program in the container."""

from deploy.inside import MODULES
from deploy.inside.main import COMMANDS, function_of


def test_each_command_is_a_function_of_a_module_that_goes_into_the_container() -> None:
    assert {place.split(".")[0] for place in COMMANDS.values()} <= set(MODULES)
    assert all(callable(function_of(command)) for command in COMMANDS)
