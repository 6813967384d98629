"""What is told of a container, as far as it takes no real one."""

import pytest

from deploy.inside.discovering import code, looks_like_health, place


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql+psycopg2://shop:s%40cret@db:5432/shop?sslmode=require", ("postgres", "db", "shop", "shop")),
        ("mysql+pymysql://root:pw@10.0.0.1/app", ("mysql", "10.0.0.1", "root", "app")),
        ("sqlite:///shop.db", ("sqlite", "", "", "/srv/instance/shop.db")),
        ("sqlite:////data/shop.db", ("sqlite", "", "", "/data/shop.db")),
        ("sqlite://", ("sqlite", "", "", "")),
        ("redis://:pw@cache:6379/0", ("redis", "cache", "", "0")),
    ],
)
def test_of_a_url_everything_but_the_password_is_told(url: str, expected: tuple[str, ...]) -> None:
    assert place(url, "/srv/instance") == dict(zip(("kind", "host", "user", "name"), expected, strict=True))


@pytest.mark.parametrize("url", ["", "https://x@hooks.example.com/1", "postgres", "postgresql://[bad"])
def test_what_is_no_database_is_not_told(url: str) -> None:
    assert place(url, "/srv") == {}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("/health", True),
        ("/api/v1/healthz", True),
        ("/_status/ready", True),
        ("/ping/", True),
        ("/health/db/tables/all", False),
        ("/pages/updates", False),
        ("/delivery", False),
        ("/", False),
    ],
)
def test_a_health_check_is_known_by_its_last_words(rule: str, expected: bool) -> None:
    assert looks_like_health(rule) is expected


def test_the_codes_folder_is_that_with_most_of_the_tracked_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("code")
    (folder / "shop").mkdir()
    (folder / "shop" / "a.py").touch()
    found = code([f"{folder}/shop", str(folder), "/"], {"shop/a.py", "shop/b.py", "README.md"})
    assert found == (str(folder), 0.5)
