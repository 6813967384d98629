"""Requests that reach a host's own loopback services: directly, or each over a channel of its own to that host."""

import io
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any, Protocol, cast
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, InsecureRequestWarning, NewConnectionError


class Channel(Protocol):
    """A two-way stream of bytes; its timeouts are in seconds and raise TimeoutError."""

    def recv(self, nbytes: int, /) -> bytes: ...
    def sendall(self, s: bytes, /) -> None: ...
    def settimeout(self, timeout: float | None, /) -> None: ...
    def close(self) -> None: ...


# What answers on a host's own loopback is who it is, whatever name stands in its certificate.
urllib3.disable_warnings(InsecureRequestWarning)
_BLOCK = 65536

# (host, port, seconds): raises TimeoutError, another OSError when nobody listens there, or Failure.
OpenChannel = Callable[[str, int, float | None], Channel]


class _Session(requests.Session):
    def __init__(self) -> None:
        super().__init__()
        # No proxy from the environment, no passwords from ~/.netrc.
        self.trust_env = False
        self.verify = False

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Follow no redirect to another host: there it would be somebody else who answers."""
        target = super().get_redirect_target(resp)
        if target is None or urlsplit(urljoin(resp.url, target)).hostname != urlsplit(resp.url).hostname:
            return None
        return target


def direct() -> requests.Session:
    """Make a session that asks this machine itself."""
    return _Session()


def through(open_channel: OpenChannel) -> requests.Session:
    """Make a session in which each connection is a channel; the URL's host is looked up at the other end."""
    session = _Session()
    session.adapters.clear()
    session.mount("http://", _ChannelAdapter(open_channel))
    session.mount("https://", _ChannelAdapter(open_channel))
    # A channel costs one round trip, and one that was kept may lead to a process that is gone since.
    session.headers["Connection"] = "close"
    return session


class _ChannelAdapter(HTTPAdapter):
    def __init__(self, open_channel: OpenChannel) -> None:
        self._open_channel = open_channel
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self._open_channel)


def _pools(open_channel: OpenChannel) -> dict[str, type[HTTPConnectionPool]]:
    def opened(connection: HTTPConnection) -> Channel:
        try:
            return open_channel(connection._dns_host, connection.port, connection.timeout)
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, str(error)) from error
        except OSError as error:
            raise NewConnectionError(connection, str(error)) from error

    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return cast(socket.socket, _ChannelSocket(opened(self)))

    class SecureConnection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _joined(opened(self), self.timeout)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}


def _joined(channel: Channel, timeout: float | None) -> socket.socket:
    """Make a socket of the system's own that ends in a channel: TLS takes nothing else."""
    near, far = socket.socketpair()
    near.settimeout(timeout)
    channel.settimeout(None)

    def carry(take: Callable[[int], bytes], give: Callable[[bytes], None]) -> None:
        # Either end may go at any moment, and takes the other with it.
        with suppress(OSError, EOFError):
            while block := take(_BLOCK):
                give(block)
        with suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)
        channel.close()

    for take, give in ((channel.recv, far.sendall), (far.recv, channel.sendall)):
        Thread(target=carry, args=(take, give), name="tls", daemon=True).start()
    return near


class _ChannelSocket:
    """As much of a socket as HTTPConnection uses; closed for good when it and its last reader are closed."""

    def __init__(self, channel: Channel) -> None:
        self.sendall = channel.sendall
        self.settimeout = channel.settimeout
        self._channel = channel
        self._users = 1

    def makefile(self, mode: str) -> io.BufferedReader:
        self._users += 1
        return io.BufferedReader(_Reader(self._channel, self.close), io.DEFAULT_BUFFER_SIZE)

    def close(self) -> None:
        self._users -= 1
        if self._users == 0:
            self._channel.close()


class _Reader(io.RawIOBase):
    def __init__(self, channel: Channel, closed: Callable[[], None]) -> None:
        self._channel = channel
        self._on_close = closed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._channel.recv(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        if not self.closed:
            self._on_close()
        super().close()
