"""The proxies that the env file names, as the host's git fetch uses them, and nobody else sees them."""

import base64
import http.client
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from deploy import shell
from deploy.host.local import LocalHost
from deploy.plan import Options
from deploy.preflight import judge
from deploy.settings import Git, Settings
from deploy.state import State, parse, read_script
from tests.build import SETTINGS
from tests.steps.site import Site, make, write
from tests.texts import as_text

USER, PASSWORD = "forge", "proxy-s3cret-word"
# Nobody but the proxy knows the name.
URL = "http://forge.invalid/origin.git"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = make(tmp_path)
    made.git("remote", "set-url", "origin", URL)
    return made


@dataclass
class Proxy:
    """A proxy that wants a password; what it was asked for, and what every process was called with meanwhile."""

    port: int
    asked: list[str] = field(default_factory=list)
    commands: set[bytes] = field(default_factory=set)

    def url(self, password: str = PASSWORD) -> str:
        return f"http://{USER}:{password}@127.0.0.1:{self.port}"


@contextmanager
def running(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_port
        server.shutdown()


class Files(SimpleHTTPRequestHandler):
    """A web server that has the origin as files, which is enough for git to fetch from."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def proxy(site: Site) -> Iterator[Proxy]:
    wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.commands.update(command_lines())
            if self.headers.get("Proxy-Authorization") != wanted:
                self.answer(407, b"", {"Proxy-Authenticate": 'Basic realm="proxy"'})
                return
            found.asked.append(self.path)
            path = urlsplit(self.path)
            upstream = http.client.HTTPConnection("127.0.0.1", files)
            upstream.request("GET", path.path)
            told = upstream.getresponse()
            self.answer(told.status, told.read(), {})
            upstream.close()

        def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with running(partial(Files, directory=str(site.root))) as files, running(Handler) as port:
        found = Proxy(port)
        yield found


def command_lines() -> Iterator[bytes]:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield process.read_bytes()
        except OSError:
            continue


def settings_of(site: Site, proxy: str = "from-env") -> Settings:
    target = replace(SETTINGS.target, path=str(site.clone), local=True)
    return replace(SETTINGS, target=target, git=Git(proxy=proxy))  # type: ignore[arg-type]


def release(site: Site) -> str:
    new = site.release({"app.py": "two\n"})
    site.git("update-server-info", folder=site.origin)
    return new


def read(settings: Settings) -> tuple[State, str]:
    answer = LocalHost().run(read_script(settings, target="remote"))
    return parse(answer.stdout), answer.stdout + answer.stderr


def test_a_fetch_goes_by_the_proxy_of_the_env_file_whose_password_nobody_sees(site: Site, proxy: Proxy) -> None:
    write(site.clone / ".env", f"SECRET_KEY=abcdefgh\nHTTP_PROXY={proxy.url()}\n")
    settings, new = settings_of(site), release(site)
    state, said = read(settings)
    assert (state.repository.target, as_text(state.repository.fetch_problem)) == (new, "")
    assert proxy.asked[0].startswith(f"{URL}/info/refs")
    script = site.script(new, proxy="from-env", env_file=str(site.clone / ".env"))
    synced = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=site.root, env=site.environment, capture_output=True, text=True
    )
    assert (synced.returncode, site.ref("HEAD")) == (0, new), synced.stderr
    config = (site.clone / ".git/config").read_text() + (site.clone / ".git/logs/HEAD").read_text()
    everything = said + synced.stdout + synced.stderr + config + read_script(settings, target="remote") + script
    assert PASSWORD not in everything
    assert len(proxy.commands) > 3
    assert [command for command in proxy.commands if PASSWORD.encode() in command] == []


def test_a_proxy_that_refuses_is_told_without_its_password(site: Site, proxy: Proxy) -> None:
    write(site.clone / ".env", f"SECRET_KEY=abcdefgh\nhttp_proxy={proxy.url('another-s3cret-word')}\n")
    settings = settings_of(site)
    state, said = read(settings)
    (found,) = (as_text(one) for one in judge(settings, state, Options()) if one.check == "remote")
    assert found.level == "refusal"
    assert found.evidence.startswith("git fetch origin, by the proxies of .env, failed: ")
    assert "407" in found.evidence
    assert found.remedy.startswith("see HTTP_PROXY and its like in .env on the host")
    assert "another-s3cret-word" not in said + found.evidence


def test_without_the_setting_the_env_file_makes_no_proxy(site: Site, proxy: Proxy) -> None:
    write(site.clone / ".env", f"SECRET_KEY=abcdefgh\nHTTP_PROXY={proxy.url()}\n")
    state, _ = read(settings_of(site, ""))
    assert ("forge.invalid" in str(as_text(state.repository.fetch_problem)), proxy.asked) == (True, [])


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("HTTP_PROXY=http://a", {"http_proxy": "http://a"}),
        ("https_proxy=http://a\n", {"https_proxy": "http://a"}),
        ("  export ALL_PROXY = 'socks5h://a#b'  # why", {"all_proxy": "socks5h://a#b"}),
        ('NO_PROXY="localhost, .example.com"\r\n', {"no_proxy": "localhost, .example.com"}),
        ("HTTP_PROXY=http://a  # a comment\r\nHTTPS_PROXY=http://b#c", {"http_proxy": "http://a", "https_proxy": "http://b#c"}),
        ("http_proxy=http://small\nHTTP_PROXY=http://large\n", {"http_proxy": "http://small"}),
        ("HTTP_PROXY=http://first\nHTTP_PROXY=http://last\n", {"http_proxy": "http://last"}),
        ("HTTP_PROXY=http://$(touch x)`touch x`$HOME", {"http_proxy": "http://$(touch x)`touch x`$HOME"}),
        ("#HTTP_PROXY=http://a\nMY_HTTP_PROXY=b\nHTTP_PROXY_USER=c\nHTTPS_PROXY=\nPATH=/nowhere\n", {}),
    ],
    ids=range(9),
)  # fmt: skip
def test_each_spelling_is_read_and_nothing_in_it_is_run(tmp_path: Path, written: str, used: dict[str, str]) -> None:
    env = write(tmp_path / ".env", written)
    script = shell.script(path=str(tmp_path), env_file=str(env), proxy="from-env") + "by_proxies env -0"
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    command = ["bash", "-euo", "pipefail", "-c", script]
    printed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    there = dict(line.split("=", 1) for line in printed.split("\0") if "=" in line)
    assert {name: value for name, value in there.items() if name.lower().endswith("_proxy")} == used
    assert sorted(file.name for file in tmp_path.iterdir()) == [".env"]
