"""Requests to what only the app's container reaches: by a scheme of their own, carried out by the host there."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import requests
from requests.adapters import BaseAdapter

from deploy import shell
from deploy.health import INSIDE
from deploy.host import Host
from deploy.settings import Settings
from deploy.state import variables


def within(host: Host, settings: Settings, container: str) -> requests.Session:
    """Make requests from within another container of the app's service."""
    session = requests.Session()
    session.mount(INSIDE, Inside(host, replace(settings, app=replace(settings.app, container=container))))
    return session


class Inside(BaseAdapter):
    """Answers requests as curl on the host would, from within the app's container."""

    def __init__(self, host: Host, settings: Settings) -> None:
        super().__init__()
        self._host, self._settings = host, settings

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        url = str(request.url).removeprefix(INSIDE)
        seconds = timeout[0] if isinstance(timeout, tuple) else timeout
        asked = {"url": url, "host_header": request.headers.get("Host", ""), "seconds": str(seconds)}
        told = self._host.run(shell.script("containers.sh", "fetch.sh", **variables(self._settings), **asked))
        status, _, body = told.stdout.partition("\n")
        if not status.isdigit() or status == "000":
            raise requests.ConnectionError(ConnectionRefusedError(), request=request)
        response = requests.Response()
        response.status_code, response.url, response.request = int(status), url, request
        response._content = base64.b64decode(body)
        return response

    def close(self) -> None:
        """Nothing stays open."""
