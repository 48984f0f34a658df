"""The verifiers of receivers accept a good message and refuse every altered one; a verifier that
accepts anything would prove nothing. The good ones are written here by hand, after the vendors'
documentation, and not taken from the daemon."""

import base64
import json
import os
import pathlib
import subprocess
import sys
import threading
import unittest

from test_documents import GONE, altered
from test_verifiers import run

HERE = pathlib.Path(__file__).parent
LINK = "https://v.example/x/copy"
GITHUB = {
    "title": "STOP - copy: errors 0.2 %, limit 0.1 %",
    "text": "**STOP**\n\n| signal | seen |\n|---|---|\n| a | \\@x |\n\n[Open experiment](%s)" % LINK,
    "labels": ["verdictd"],
}
GITHUB["text"] = GITHUB["text"].replace("\\@x", "@\u200bx")
MATTERMOST = {
    "attachments": [
        {
            "fallback": "STOP - copy",
            "color": "#c62828",
            "title": "STOP - copy",
            "text": f"Because.\n\n[Open experiment]({LINK})",
            "fields": [{"short": False, "title": "errors", "value": "0.2 %"}],
            "footer": "guardrail.tripped",
        }
    ],
    "props": {"card": "Because."},
    "priority": {"priority": "urgent", "requested_ack": True},
}
PAGERDUTY = {
    "event_action": "trigger",
    "dedup_key": "k",
    "payload": {
        "summary": "TRIPPED - copy",
        "source": "copy",
        "severity": "critical",
        "timestamp": "2026-08-11T00:00:00Z",
        "custom_details": {"because": "errors"},
    },
    "client": "verdictd",
    "client_url": LINK,
    "links": [{"href": LINK, "text": "Open experiment"}],
}
GRAFANA = {
    "time": 1_782_864_000_000,
    "end": 1_786_406_400_000,
    "tags": ["verdictd", "copy", "stop"],
    "text": f'<b>STOP &lt;x&gt;</b><br>Because.<br><a href="{LINK}">Open experiment</a>',
    "line": "<b>STOP</b>",
}
CHAT = {
    "preset": "google_chat",
    "path": "",
    "body": {
        "thread": {"threadKey": "k"},
        "cardsV2": [
            {
                "cardId": "verdictd",
                "card": {
                    "header": {"title": "STOP", "subtitle": "copy"},
                    "sections": [{"widgets": [{"textParagraph": {"text": "Because.<br><b>a</b>"}}]}],
                },
            }
        ],
    },
}
TELEGRAM = {
    "preset": "telegram",
    "path": "",
    "body": {
        "chat_id": "-1",
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "text": f'<b>STOP &amp; copy</b>\nBecause.\n<a href="{LINK}">Open experiment</a>',
    },
}
OPSGENIE = {
    "preset": "opsgenie",
    "path": "/v2/alerts",
    "body": {
        "message": "TRIPPED",
        "alias": "0" * 32,
        "description": "errors",
        "entity": "errors",
        "priority": "P1",
        "source": "verdictd",
        "tags": ["verdictd"],
    },
}
LINEAR = {
    "preset": "linear",
    "path": "",
    "body": {
        "query": "mutation Make($input: IssueCreateInput!) "
        "{ issueCreate(input: $input) { success } }",
        "variables": {
            "input": {
                "id": "9cfb482a-81e3-4154-85b9-2c805e70a02d",
                "teamId": "T",
                "title": "STOP",
                "description": "Because.",
            }
        },
    },
}
IRM = {
    "preset": "grafana_irm",
    "path": "",
    "body": {
        "alert_uid": "k",
        "title": "TRIPPED",
        "state": "alerting",
        "link_to_upstream_details": LINK,
        "message": "Because.",
    },
}
MAIL = """From: verdictd <verdictd@acme.example>
Date: Sun, 22 Nov 2026 10:00:00 +0000
Subject: STOP - copy
Message-ID: <msg_1@acme.example>
To: ops@acme.example
Auto-Submitted: auto-generated
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="b"

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 7bit

STOP - copy
--b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 7bit

<!DOCTYPE html><html lang="en"><body><h1>STOP - copy</h1></body></html>
--b--
"""


def mail(text=MAIL, **envelope):
    """A document for verify_mail.py."""
    raw = text.replace("\n", "\r\n").encode()
    encoded = base64.b64encode(raw).decode()
    return {
        "from": "verdictd@acme.example",
        "to": ["ops@acme.example"],
        "mail_base64": encoded,
        **envelope,
    }


class Receivers(unittest.TestCase):
    """One good message of each, and what must not pass."""

    def check(self, script, good, bad):
        """The good document is accepted, every other one is refused."""
        lines = "".join(json.dumps(document) + "\n" for document in [good, *bad])
        _, results = run(script, lines, "--batch")
        self.assertEqual(len(results), 1 + len(bad), results)
        self.assertEqual(results[0], "ok")
        for document, result in zip(bad, results[1:]):
            self.assertNotEqual(result, "ok", document)

    def texts(self, document, path, texts):
        """Copies with that place changed."""
        return [altered(document, path, text) for text in texts]

    def test_github(self):
        words = [
            "ask @octocat",
            "see #12",
            "see GH-12",
            "&#64;octocat",
            "https://evil.example",
            "[click](https://evil.example)",
            "[Open experiment](javascript:x)",
            "![x](https://evil.example/i.png)",
            "<img src=x>",
            "<!-- verdictd:issue:x -->",
            "www.evil.example",
            "# heading",
            "> quote",
            "```\ncode\n```",
            "x\u202e",
            "",
            "x" * 65_537,
        ]
        bad = self.texts(GITHUB, ("text",), words)
        bad += self.texts(GITHUB, ("title",), ["", "x" * 257, "a `b`", "a\u2066"])
        self.check("verify_github.py", GITHUB, bad + self.texts(GITHUB, ("labels",), [[], ["x"]]))

    def test_mattermost(self):
        at = ("attachments", 0)
        calls = ["@channel now", "@here", "@all", "ask @jane", "[x](https://evil.example)", "![x](a)"]
        bad = self.texts(MATTERMOST, (*at, "text"), calls)
        bad += self.texts(MATTERMOST, (*at, "fields", 0, "value"), calls)
        bad += self.texts(MATTERMOST, ("props", "card"), calls)
        bad += self.texts(MATTERMOST, (*at, "fallback"), ["", "@all"])
        bad += self.texts(MATTERMOST, (*at, "color"), ["red", GONE])
        bad += self.texts(MATTERMOST, ("priority", "priority"), ["loud"])
        bad += [altered(MATTERMOST, (*at, "surprise"), 1), altered(MATTERMOST, ("text",), "x")]
        bad += self.texts(MATTERMOST, (*at, "footer"), ["x" * 301])
        self.check("verify_mattermost.py", MATTERMOST, bad)

    def test_pagerduty(self):
        changes = [
            (("event_action",), "open"),
            (("dedup_key",), "x" * 256),
            (("routing_key",), "R" * 32),
            (("payload", "summary"), "x" * 1_025),
            (("payload", "summary"), GONE),
            (("payload", "severity"), "loud"),
            (("payload", "timestamp"), "yesterday"),
            (("payload", "component"), None),
            (("client_url",), None),
            (("client_url",), "javascript:x"),
            (("links", 0, "href"), "javascript:x"),
            (("links", 0, "surprise"), "x"),
            (("surprise",), 1),
            (("payload", "custom_details", "because"), "x" * 512_000),
        ]
        bad = [altered(PAGERDUTY, *change) for change in changes]
        self.check("verify_pagerduty.py", PAGERDUTY, bad)

    def test_grafana(self):
        texts = [
            "<script>x</script>",
            '<img src="x">',
            '<a href="javascript:x">Open experiment</a>',
            f'<a href="{LINK}">click here</a>',
            f'<a href="{LINK}" onclick="x">Open experiment</a>',
            "<!-- x -->",
            "x\u202e",
            "",
        ]
        bad = self.texts(GRAFANA, ("text",), texts)
        bad += self.texts(GRAFANA, ("time",), [1_782_864_000, 1_786_406_400_001, None])
        bad += self.texts(GRAFANA, ("tags",), [[], ["x"], ["verdictd", ""], ["verdictd", "x" * 101]])
        self.check("verify_grafana.py", GRAFANA, bad)

    def test_google_chat(self):
        card = ("body", "cardsV2", 0, "card")
        text = (*card, "sections", 0, "widgets", 0, "textParagraph", "text")
        bad = self.texts(CHAT, text, ["<img src=x>", "<a href='https://e.example'>x</a>", "@jane", 5])
        bad += [altered(CHAT, (*card, "header", "titel"), "x"), altered(CHAT, ("body", "txt"), "x")]
        bad += [altered(CHAT, ("body", "thread"), GONE), altered(CHAT, text, "x" * 33_000)]
        self.check("verify_template.py", CHAT, bad)

    def test_telegram(self):
        texts = [
            "<b>a</b> @everyone",
            "<i>a</i>",
            "<a href='https://evil.example'>click</a>",
            "<a href='tg://user?id=1'>Snooze</a>",
            "https://evil.example",
            "<code>x</code>",
            "x" * 4_097,
            " ",
        ]
        bad = self.texts(TELEGRAM, ("body", "text"), texts)
        bad += self.texts(TELEGRAM, ("body", "parse_mode"), ["Markdown", GONE])
        self.check("verify_template.py", TELEGRAM, bad)

    def test_opsgenie(self):
        bad = self.texts(OPSGENIE, ("body", "priority"), ["P0", "high"])
        bad += self.texts(OPSGENIE, ("body", "message"), ["", "x" * 131])
        bad += [altered(OPSGENIE, ("body", "surprise"), 1), altered(OPSGENIE, ("path",), "/v1")]
        bad += self.texts(OPSGENIE, ("body", "alias"), ["x", "0" * 513])
        self.check("verify_template.py", OPSGENIE, bad)

    def test_linear(self):
        given = ("body", "variables", "input")
        bad = self.texts(LINEAR, ("body", "query"), ["mutation {", "query Q($input: X!) { a }"])
        bad += self.texts(LINEAR, (*given, "id"), ["x", "9cfb482a-81e3-1154-85b9-2c805e70a02d"])
        bad += self.texts(LINEAR, (*given, "description"), ["@jane", "<img src=x>", "[a](b)"])
        bad += [altered(LINEAR, (*given, "surprise"), 1)]
        bad += self.texts(LINEAR, (*given, "title"), ["x" * 257])
        self.check("verify_template.py", LINEAR, bad)

    def test_grafana_irm(self):
        bad = self.texts(IRM, ("body", "state"), ["firing", GONE])
        bad += self.texts(IRM, ("body", "message"), ["@all", "<b>x</b>", "[x](https://evil.example)"])
        bad += self.texts(IRM, ("body", "link_to_upstream_details"), ["javascript:x"])
        self.check("verify_template.py", IRM, bad + [altered(IRM, ("preset",), "nobody")])

    def test_mail(self):
        bad = [
            MAIL.replace("Subject:", "Bcc: a@evil.example\nSubject:"),
            MAIL.replace("Subject:", "Subject: two\nSubject:"),
            MAIL.replace("Auto-Submitted: auto-generated\n", ""),
            MAIL.replace("msg_1@acme.example", "one two"),
            MAIL.replace("2026 10:00:00", "26:00"),
            MAIL.replace("--b--", "--c--"),
            MAIL.replace("text/html", "text/plain"),
            MAIL.replace("<h1>", "<script>x</script><h1>"),
            MAIL.replace("<h1>", '<img src="https://evil.example/i.png"><h1>'),
            MAIL.replace("<h1>", '<p style="background:url(https://evil.example)"></p><h1>'),
            MAIL.replace("<h1>", '<a href="https://evil.example">click</a><h1>'),
            MAIL.replace("<h1>STOP", "<h1>GO"),
            MAIL.replace("STOP - copy\n--b", "x" * 999 + "\n--b"),
            MAIL.replace("Subject: STOP", "Subject: ST\u00d6P"),
        ]
        documents = [mail(text) for text in bad]
        documents += [mail(to=["other@acme.example"]), mail(**{"from": "x@acme.example"})]
        self.check("verify_mail.py", mail(), documents)


class Discord(unittest.TestCase):
    """verify_discord.mjs"""

    MESSAGE = {
        "embeds": [
            {
                "title": "STOP - copy",
                "description": f"Because.\n[Open experiment]({LINK})",
                "color": 1,
                "fields": [{"name": "errors", "value": "0.2 %"}],
                "footer": {"text": "guardrail.tripped"},
            }
        ],
        "allowed_mentions": {"parse": []},
    }

    def test_what_passes_and_what_does_not(self):
        embed = ("embeds", 0)
        hostile = [
            "@everyone",
            "@here",
            "<@123456789012345678>",
            "<@&123456789012345678>",
            "<#123456789012345678>",
            "https://evil.example",
            "[x](https://evil.example)",
            "||spoiler||",
            "`code`",
            "<:aaa:123456789012345678>",
        ]
        bad = [altered(self.MESSAGE, (*embed, "title"), text) for text in hostile[:3]]
        bad += [altered(self.MESSAGE, (*embed, "description"), text) for text in hostile]
        bad += [altered(self.MESSAGE, (*embed, "fields", 0, "value"), text) for text in hostile]
        bad += [
            altered(self.MESSAGE, ("allowed_mentions",), {"parse": ["everyone"]}),
            altered(self.MESSAGE, ("allowed_mentions",), GONE),
            altered(self.MESSAGE, (*embed, "title"), "x" * 257),
            altered(self.MESSAGE, (*embed, "description"), "x" * 4_097),
            altered(self.MESSAGE, (*embed, "fields", 0, "value"), "x" * 1_025),
            altered(self.MESSAGE, (*embed, "fields", 0, "value"), ""),
            altered(self.MESSAGE, (*embed, "footer", "text"), "x" * 2_049),
            altered(self.MESSAGE, (*embed, "color"), 0x1000000),
            altered(self.MESSAGE, (*embed, "surprise"), 1),
            altered(self.MESSAGE, ("surprise",), 1),
            altered(self.MESSAGE, ("embeds",), []),
        ]
        lines = "".join(json.dumps(one) + "\n" for one in [self.MESSAGE, *bad])
        node = os.environ.get("VERDICTD_TEST_NODE", "node")
        script = HERE.parent / "js" / "verify_discord.mjs"
        process = subprocess.run(
            [node, script], input=lines.encode(), stdout=subprocess.PIPE, check=False, timeout=60
        )
        results = process.stdout.decode().splitlines()
        self.assertEqual((process.returncode, len(results)), (1, 1 + len(bad)), results)
        self.assertEqual(results[0], "ok")
        for document, result in zip(bad, results[1:]):
            self.assertNotEqual(result, "ok", document)


class Server(unittest.TestCase):
    """mail_server.py"""

    def test_prints_what_comes(self):
        import smtplib  # pylint: disable=import-outside-toplevel

        process = subprocess.Popen(
            [sys.executable, "-B", HERE / "mail_server.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            port = json.loads(process.stdout.readline())["port"]
            printed = []
            reader = threading.Thread(target=lambda: printed.extend(process.stdout))
            reader.start()
            with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
                client.sendmail("verdictd@acme.example", ["ops@acme.example"], MAIL)
            process.stdin.close()
            reader.join(30)
        code, results = run("verify_mail.py", printed[0])
        self.assertEqual((code, results, len(printed)), (0, ["ok"], 1))


if __name__ == "__main__":
    unittest.main()
