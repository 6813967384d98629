"""What webhooks are sent, to a real server that checks what the services check."""

import base64
import hashlib
import hmac
import urllib.parse

import pytest

from deploy import notices
from deploy.settings import Notice
from tests.chat import Chat
from tests.texts import as_text

KEY = "a key"
FACTS = {"event": "done", "target": "prod", "verb": "hot-update", "run": "1", "operator": "me", "from": "", "to": ""}


def sent(chat: Chat, kind: str, key: str = "") -> object:
    notice = Notice(kind, "URL")  # type: ignore[arg-type]
    problem = notices.send(notice, notices.request(notice, chat.url, key, FACTS, "prod is done", 1767312000.5))
    return as_text(problem) if problem else None


def signature(key: str, message: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), message.encode(), hashlib.sha256).digest()).decode()


def test_feishu_is_signed_in_the_body(chat: Chat) -> None:
    assert sent(chat, "feishu", KEY) is None
    ((_, body),) = chat.came
    assert body == {
        "msg_type": "text",
        "content": {"text": "prod is done"},
        "timestamp": "1767312000",
        "sign": signature("1767312000\na key", ""),
    }


def test_dingtalk_is_signed_in_the_address(chat: Chat) -> None:
    assert sent(chat, "dingtalk", KEY) is None
    ((path, body),) = chat.came
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))
    expected = signature(KEY, "1767312000500\na key")
    assert asked == {"access_token": "t", "timestamp": "1767312000500", "sign": expected}
    assert body == {"msgtype": "text", "text": {"content": "prod is done"}}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("feishu", {"msg_type": "text", "content": {"text": "prod is done"}}),
        ("wecom", {"msgtype": "text", "text": {"content": "prod is done"}}),
        ("slack", {"text": "prod is done"}),
        ("json", {"schema": 1, **FACTS, "text": "prod is done"}),
    ],
)
def test_without_a_key_nothing_is_signed(chat: Chat, kind: str, expected: object) -> None:
    assert sent(chat, kind) is None
    assert chat.came == [("/hook?access_token=t", expected)]


def test_a_long_text_is_cut_between_two_characters(chat: Chat) -> None:
    notice = Notice("wecom", "URL")
    body = notices.request(notice, chat.url, "", FACTS, "警" * 1000, 0.0).body
    assert body["text"]["content"] == "警" * 665 + "…"


def test_no_word_is_a_link_or_a_name_in_slack(chat: Chat) -> None:
    body = notices.request(Notice("slack", "URL"), chat.url, "", FACTS, "<!channel> & me", 0.0).body
    assert body == {"text": "&lt;!channel&gt; &amp; me"}


@pytest.mark.parametrize(
    ("kind", "answer", "told"),
    [
        ("feishu", (200, {"code": 19021, "msg": "sign match fail"}), "it answers code 19021"),
        ("dingtalk", (200, {"errcode": 310000}), "it answers errcode 310000"),
        ("wecom", (200, "what"), "it answers errcode None"),
        ("slack", (404, "no_service"), "it answers 404"),
        ("json", (302, ""), "it answers 302"),
    ],
)
def test_what_was_not_taken_is_told(chat: Chat, kind: str, answer: tuple[int, object], told: str) -> None:
    chat.answer = answer
    assert sent(chat, kind) == told


def test_who_cannot_be_reached_is_told_without_the_address(chat: Chat) -> None:
    notice = Notice("slack", "URL")
    asked = notices.request(notice, "http://127.0.0.1:1/token", "", FACTS, "text", 0.0)
    assert as_text(notices.send(notice, asked)) == "it cannot be reached (ConnectionError)"
