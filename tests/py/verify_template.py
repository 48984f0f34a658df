"""Reads what the shipped presets send with code of the other side, or of somebody who knows it.

usage: verify_template.py [--batch]     (see verifier.py for the protocol)

Input: {"preset": "...", "path": "...", "body": {...}}, as rendered. Google Chat: the message types
of PyPI's `google-apps-chat` (an unknown field is refused) and Python's `html.parser`. Telegram:
`telethon` reads the HTML as Telegram does. Opsgenie: the payloads of `opsgenie-sdk`. Linear:
`graphql-core` reads the mutation, `cmarkgfm` the description. Grafana IRM: `cmarkgfm`.
"""

import json
import re
import sys
import uuid

import graphql
from google.apps.chat_v1.types import Message
from markup import MENTION, WEB, LABELS, check_html, check_markdown, check_text, within
from opsgenie_sdk import CloseAlertPayload, CreateAlertPayload
from telethon.extensions import html as telegram_html
from telethon.tl.types import MessageEntityBold, MessageEntityTextUrl
from verifier import Refused, main


def google_chat(body, _path):
    """The message types know every field; the paragraphs are HTML."""
    text = json.dumps(body)
    message = Message.from_json(text, ignore_unknown_fields=False)
    if not message.thread.thread_key or len(text.encode()) > 32_000:
        raise Refused("no thread, or larger than 32,000 bytes")
    (card,) = message.cards_v2
    check_text(card.card.header.title + card.card.header.subtitle)
    for section in card.card.sections:
        for widget in section.widgets:
            shown = check_html(widget.text_paragraph.text, {"b", "br", "a"})
            if MENTION.search(shown):
                raise Refused(f"a mention in {shown[:80]!r}")


def telegram(body, _path):
    """Bold words and our links are all that Telegram may find."""
    if set(body) != {"chat_id", "parse_mode", "link_preview_options", "text"}:
        raise Refused(f"keys: {sorted(body)}")
    if body["parse_mode"] != "HTML" or body["link_preview_options"] != {"is_disabled": True}:
        raise Refused("parse_mode or link_preview_options")
    check_html(body["text"], {"b", "a"})
    shown, entities = telegram_html.parse(body["text"])
    within("text", shown, 4_096)
    if not shown.strip() or MENTION.search(shown) or "://" in shown:
        raise Refused(f"nothing, a mention or a bare address: {shown[:120]!r}")
    for entity in entities:
        if isinstance(entity, MessageEntityTextUrl):
            units = shown.encode("utf-16-le")[entity.offset * 2 :][: entity.length * 2]
            if units.decode("utf-16-le") not in LABELS or not WEB.fullmatch(entity.url):
                raise Refused(f"a link to {entity.url}")
        elif not isinstance(entity, MessageEntityBold):
            raise Refused(f"an entity {type(entity).__name__}")


def opsgenie(body, path):
    """The client's payloads know the keys and priorities; the lengths are the documentation's."""
    if path.startswith("/v2/alerts/") and path.endswith("/close?identifierType=alias"):
        CloseAlertPayload(**body)
        return
    if path != "/v2/alerts":
        raise Refused(f"path {path}")
    CreateAlertPayload(**body)
    for key, most in (("message", 130), ("alias", 512), ("description", 15_000), ("entity", 512)):
        within(key, body[key], most)
        check_text(body[key].replace("\n", " "))
    if not body["message"] or not re.fullmatch("[0-9a-f]{32}", body["alias"]):
        raise Refused("message or alias")
    within("tag", max(body["tags"], key=len), 50)


def linear(body, _path):
    """One mutation with its variables."""
    document = graphql.parse(body["query"])
    (operation,) = document.definitions
    (variable,) = operation.variable_definitions
    declared = (operation.operation.value, variable.variable.name.value)
    if declared != ("mutation", "input") or set(body["variables"]) != {"input"}:
        raise Refused("not a mutation of one input")
    given = body["variables"]["input"]
    if set(given) != {"id", "teamId", "title", "description"}:
        raise Refused(f"input: {sorted(given)}")
    if uuid.UUID(given["id"]).version != 4 or str(uuid.UUID(given["id"])) != given["id"]:
        raise Refused("the id is no UUID of version 4")
    within("title", given["title"], 256)
    check_text(given["title"])
    check_markdown(given["description"])


def grafana_irm(body, _path):
    """The keys of a formatted webhook; the message is Markdown."""
    keys = {"alert_uid", "title", "state", "link_to_upstream_details", "message"}
    if set(body) != keys or body["state"] not in ("alerting", "ok") or not body["title"]:
        raise Refused(f"keys or state: {body.get('state')} {sorted(body)}")
    link = body["link_to_upstream_details"]
    if link is not None and not WEB.fullmatch(link):
        raise Refused(f"a link to {link}")
    check_text(body["title"])
    check_markdown(body["message"])


PRESETS = {
    "google_chat": google_chat,
    "grafana_irm": grafana_irm,
    "linear": linear,
    "opsgenie": opsgenie,
    "telegram": telegram,
}


def verify(document):
    """Raises unless the other side would take it and show words and our links."""
    PRESETS[document["preset"]](document["body"], document["path"])


if __name__ == "__main__":
    sys.exit(main(verify, __doc__))
