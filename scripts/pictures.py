"""Draws messages as Slack, Teams and a mail program would, as HTML pages for scripts/pictures.sh.

usage: pictures.py FORM OUTPUT.html [TYPE...] < lines of `verdictd notify render`

FORM is slack, teams or email; without TYPEs all samples are drawn, in columns. The drawing is made
from the very bytes that are sent: Block Kit, the Adaptive Card, the HTML part of the mail. It is
near to the original in fonts, sizes and colours, and nothing is loaded from anywhere.
"""

import email
import email.policy
import html
import json
import re
import sys

STYLE = """
* { box-sizing: border-box; }
body { margin: 0; padding: 20px; font-family: "Liberation Sans", "DejaVu Sans", Arial, sans-serif;
  background: #f4f4f6; color: #1d1c1d; }
.sheet { columns: COLUMNS; column-gap: 16px; width: WIDTHpx; }
.item { break-inside: avoid; padding-bottom: 16px; }
.kind { font: 11px monospace; color: #777; padding: 0 0 3px 2px; }
.message { background: #fff; border: 1px solid #ddd; border-radius: 8px; padding: 12px 16px; }
.who { font-size: 15px; font-weight: 700; margin-bottom: 2px; }
.who .app { font-size: 10px; font-weight: 400; color: #616061; background: #e8e8e8;
  border-radius: 2px; padding: 1px 4px; margin-left: 4px; vertical-align: 2px; }
.who .time { font-size: 12px; font-weight: 400; color: #616061; margin-left: 6px; }
.slack .header { font-size: 18px; font-weight: 700; line-height: 1.33; margin: 6px 0; }
.slack .section { font-size: 15px; line-height: 1.46; margin: 6px 0; white-space: pre-wrap; }
.slack .fields { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 16px; }
.slack .actions { display: flex; flex-wrap: wrap; gap: 8px; margin: 10px 0 8px; }
.slack .button { font-size: 13px; font-weight: 700; border: 1px solid #bbb; border-radius: 4px;
  padding: 5px 12px; }
.slack .button.danger { color: #fff; background: #e01e5a; border-color: #e01e5a; }
.slack .button.primary { color: #fff; background: #007a5a; border-color: #007a5a; }
.slack .context { font-size: 12px; color: #616061; margin: 8px 0 2px; }
.slack hr { border: 0; border-top: 1px solid #ddd; }
.slack a { color: #1264a3; text-decoration: none; }
.teams .message { border-radius: 6px; font-size: 14px; line-height: 1.4; }
.teams .block { margin: 0 0 8px; }
.teams .size-Medium { font-size: 17px; }
.teams .size-Large { font-size: 21px; }
.teams .size-Small { font-size: 12px; }
.teams .weight-Bolder { font-weight: 600; }
.teams .subtle { color: #616161; }
.teams .color-Good { color: #237b4b; }
.teams .color-Warning { color: #835c00; }
.teams .color-Attention { color: #c4314b; }
.teams .facts { display: grid; grid-template-columns: auto 1fr; gap: 4px 16px; margin: 0 0 8px; }
.teams .facts b { font-weight: 600; }
.teams .actions { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 12px; }
.teams .button { border: 1px solid #c7c7c7; border-radius: 4px; padding: 4px 14px;
  font-weight: 600; }
.email .message { padding: 0; overflow: hidden; }
.email .head { padding: 12px 16px; border-bottom: 1px solid #e4e4e4; background: #fafafa;
  font-size: 13px; color: #555; }
.email .head .subject { font-size: 17px; font-weight: 700; color: #1d1c1d; margin-bottom: 4px; }
.email iframe { display: block; width: 100%; border: 0; }
"""


def text(value):
    """Escaped text."""
    return html.escape(str(value), quote=True)


def slack_text(element):
    """A text object; our messages use plain text, mrkdwn is drawn in its simplest forms."""
    # & < > arrive escaped, as Slack wants them: once more would show the escapes.
    if element["type"] == "plain_text":
        return text(html.unescape(element["text"]))
    shown = re.sub(r"<(https?://[^|>]+)\|([^>]+)>", r"<a>\2</a>", element["text"])
    return re.sub(r"\*([^*\n]+)\*", r"<b>\1</b>", shown)


def slack_button(element):
    """A button of an actions block."""
    style = text(element.get("style", ""))
    return f'<span class="button {style}">{slack_text(element["text"])}</span>'


def slack_block(block):
    """One block of Block Kit."""
    kind = block["type"]
    if kind == "header":
        return f'<div class="header">{slack_text(block["text"])}</div>'
    if kind == "section":
        drawn = ""
        if "text" in block:
            drawn += f'<div class="section">{slack_text(block["text"])}</div>'
        fields = "".join(f"<div>{slack_text(it)}</div>" for it in block.get("fields", []))
        return drawn + (f'<div class="section fields">{fields}</div>' if fields else "")
    if kind == "actions":
        buttons = "".join(map(slack_button, block["elements"]))
        return f'<div class="actions">{buttons}</div>'
    if kind == "context":
        parts = " ".join(map(slack_text, block["elements"]))
        return f'<div class="context">{parts}</div>'
    if kind == "divider":
        return "<hr>"
    raise SystemExit(f"pictures: no drawing for a Slack block {kind!r}")


def slack(body):
    """A message in a channel."""
    app = '<span class="app">APP</span><span class="time">9:00 AM</span>'
    blocks = "".join(map(slack_block, body["blocks"]))
    return f'<div class="who">verdictd{app}</div>{blocks}'


def markdown(shown):
    """What a TextBlock shows: escapes are taken off, bold is drawn."""
    shown = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text(shown))
    shown = re.sub(r"\\([\\`*_{}\[\]()#+\-.!~&gt;|])", r"\1", shown)
    return shown.replace("\n", "<br>")


def card_element(element):
    """One element of an Adaptive Card."""
    kind = element["type"]
    if kind == "TextBlock":
        classes = [f"{key}-{element[key]}" for key in ("size", "weight", "color") if key in element]
        classes += ["subtle"] if element.get("isSubtle") else []
        return f'<div class="block {" ".join(classes)}">{markdown(element["text"])}</div>'
    if kind == "FactSet":
        rows = "".join(
            f'<b>{markdown(it["title"])}</b><span>{markdown(it["value"])}</span>'
            for it in element["facts"]
        )
        return f'<div class="facts">{rows}</div>'
    raise SystemExit(f"pictures: no drawing for a card element {kind!r}")


def teams(body):
    """A card in a channel."""
    card = body["attachments"][0]["content"]
    drawn = "".join(map(card_element, card["body"]))
    titles = [text(it["title"]) for it in card.get("actions", [])]
    buttons = "".join(f'<span class="button">{title}</span>' for title in titles)
    return drawn + (f'<div class="actions">{buttons}</div>' if buttons else "")


def mail(body):
    """A mail: its subject above, its own HTML in a frame."""
    if isinstance(body, dict):
        subject, markup = body["subject"], body["html"]
    else:
        message = email.message_from_string(body, policy=email.policy.default)
        subject = message["subject"]
        markup = message.get_body(("html", "plain")).get_content()
    head = f'<div class="head"><div class="subject">{text(subject)}</div>verdictd · 9:00</div>'
    frame = f'<iframe sandbox="allow-same-origin" scrolling="no" srcdoc="{text(markup)}"></iframe>'
    return head + frame


# Frames grow to what is in them; the page says how high it is, for the photograph.
SCRIPT = """
addEventListener("load", () => {
  for (const frame of document.querySelectorAll("iframe"))
    frame.style.height = frame.contentDocument.documentElement.scrollHeight + "px";
  document.body.dataset.height = document.body.scrollHeight;
});
"""

FORMS = {"slack": (slack, 640), "teams": (teams, 600), "email": (mail, 640)}


def main():
    """Draws the samples of one form."""
    form, output, *wanted = sys.argv[1:]
    draw, width = FORMS[form]
    samples = [json.loads(line) for line in sys.stdin]
    shown = [it for it in samples if not wanted or it["type"] in wanted]
    missing = set(wanted) - {it["type"] for it in shown}
    if missing or not shown:
        raise SystemExit(f"pictures: no sample of {sorted(missing)}")
    columns = 1 if wanted else 3
    style = STYLE.replace("COLUMNS", str(columns)).replace("WIDTH", str(width * columns))
    items = "".join(
        f'<div class="item"><div class="kind">{text(it["type"])}</div>'
        f'<div class="message">{draw(it["body"])}</div></div>'
        for it in shown
    )
    page = f'<!doctype html><meta charset="utf-8"><style>{style}</style>'
    page += f'<body class="{form}"><div class="sheet">{items}</div></body>'
    page += f"<script>{SCRIPT}</script>"
    with open(output, "w", encoding="utf-8") as file:
        file.write(page)
    print(width * columns + 40)


if __name__ == "__main__":
    main()
