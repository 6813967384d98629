"""Tell a chat or another program of a run, by a webhook: what each kind of them is sent, and how it is signed.

The URL and the key that signs are secrets: they come from the environment of the laptop, and nothing tells them.
The forms are those of the services' pages on custom bots (Feishu, DingTalk, WeCom) and incoming webhooks (Slack).
"""

import base64
import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deploy.message import Message, Printed, say
from deploy.settings import Notice

if TYPE_CHECKING:
    import requests

# In bytes of UTF-8: WeCom takes 2048, the others more.
LONGEST = 2000
# Seconds for a connection, and for each wait for an answer.
PATIENCE = 5.0
# What the services answer, beside a status of 200, where they took it: the key, and the value that is good.
_GOOD = {"feishu": ("code", 0), "dingtalk": ("errcode", 0), "wecom": ("errcode", 0)}
_SCHEMA = 1


@dataclass(frozen=True)
class Request:
    """What is posted: the URL with what signs it, and the JSON."""

    url: str
    body: Mapping[str, Any]


def request(notice: Notice, url: str, key: str, facts: Mapping[str, str], text: str, now: float) -> Request:
    """Build what is posted; `now` is in seconds since the epoch, `key` signs it where there is one."""
    text = _cut(text)
    match notice.kind:
        case "feishu":
            body: dict[str, Any] = {"msg_type": "text", "content": {"text": text}}
            if key:
                moment = str(int(now))
                body |= {"timestamp": moment, "sign": _sum(f"{moment}\n{key}", "")}
            return Request(url, body)
        case "dingtalk":
            if key:
                moment = str(int(now * 1000))
                signed = urllib.parse.urlencode({"timestamp": moment, "sign": _sum(key, f"{moment}\n{key}")})
                url = f"{url}{'&' if '?' in url else '?'}{signed}"
            return Request(url, {"msgtype": "text", "text": {"content": text}})
        case "wecom":
            return Request(url, {"msgtype": "text", "text": {"content": text}})
        case "slack":
            # These three begin links and names there.
            return Request(url, {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")})
        case "json":
            return Request(url, {"schema": _SCHEMA, **facts, "text": text})


def _cut(text: str) -> str:
    # A character must not be cut in two.
    whole = text.encode("utf-8", "replace")
    return whole.decode() if len(whole) <= LONGEST else whole[: LONGEST - 3].decode("utf-8", "ignore") + "…"


def _sum(key: str, message: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), message.encode(), hashlib.sha256).digest()).decode()


def send(notice: Notice, asked: Request) -> Message | None:
    """Post it; what is wrong where it was not taken: an error's own words may have the URL, so they are not told."""
    import requests

    try:
        answer = requests.post(asked.url, json=asked.body, timeout=PATIENCE, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        return say("it cannot be reached (%s)", type(error).__name__)
    return problem(notice, answer)


def problem(notice: Notice, answer: "requests.Response") -> Message | None:
    """Say what an answer refuses; some refuse with a status of 200."""
    if not 200 <= answer.status_code < 300:
        return say("it answers %s", answer.status_code)
    if notice.kind not in _GOOD:
        return None
    name, good = _GOOD[notice.kind]
    try:
        told = answer.json()
    except ValueError:
        return say("it answers with no JSON")
    found = told.get(name) if isinstance(told, dict) else None
    return None if found == good else say("it answers %s %s", Printed(name), Printed(repr(found)))
