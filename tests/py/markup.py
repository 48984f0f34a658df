"""What a text becomes when somebody else's parser shows it: shared by the verifiers of receivers.

`check_markdown` renders with GitHub's own `cmark-gfm` and `check_html` reads with Python's
`html.parser`. Neither lets a text of users be anything but words: no element that is not ours, no
link that does not bear one of our labels, no mention, no reference to another issue.
"""

import html.parser
import re

import cmarkgfm
from verifier import Refused

# The labels of the links that a message has.
LABELS = {
    "Open portfolio",
    "Open experiment",
    "This evaluation",
    "Decision log",
    "Acknowledge",
    "Snooze",
    "Rollback plan",
}
MARKDOWN = {"p", "strong", "a", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "br"}
MENTION = re.compile(r"(?<![A-Za-z0-9_])@[A-Za-z0-9]")
REFERENCE = re.compile(r"#\d|\bGH-\d", re.IGNORECASE)
BIDI = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
WEB = re.compile(r"https?://[^\s<>\"]+")


class Page(html.parser.HTMLParser):
    """Elements, links with their words, and the text of a page."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.elements = []
        self.links = []
        self.text = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "a":
            self.links.append([dict(attrs).get("href"), ""])

    def handle_data(self, data):
        self.text.append(data)
        if self.links:
            self.links[-1][1] += data

    def handle_endtag(self, tag):
        if tag == "a" and self.links:
            self.links.append([None, ""])

    def handle_comment(self, data):
        raise Refused(f"a comment: {data[:60]!r}")

    def handle_decl(self, decl):
        self.elements.append(("!" + decl.lower(), {}))


def check_text(text):
    """Raises where words hide something or call somebody."""
    if BIDI.search(text):
        raise Refused(f"reordering marks in {text[:80]!r}")
    if any(ord(char) < 32 and char != "\n" or ord(char) == 127 for char in text):
        raise Refused(f"control characters in {text[:80]!r}")


def check_html(markup, allowed, labels=frozenset(LABELS), attributes=frozenset({"href"})):
    """Raises unless the page has only these elements and our links; gives its text."""
    page = Page()
    page.feed(markup)
    page.close()
    for tag, attrs in page.elements:
        if tag not in allowed:
            raise Refused(f"an element <{tag}>")
        strange = set(attrs) - attributes
        if strange:
            raise Refused(f"<{tag}> has {sorted(strange)}")
    for href, words in page.links:
        if href is None:
            continue
        if words not in labels:
            raise Refused(f"a link that says {words[:60]!r}")
        if not WEB.fullmatch(href):
            raise Refused(f"a link to {href[:80]!r}")
    text = "".join(page.text)
    check_text(text)
    return text


def check_markdown(text, references=False):
    """Raises unless the text, read as GitHub's Markdown, is words and our links; gives them."""
    shown = check_html(cmarkgfm.github_flavored_markdown_to_html(text), MARKDOWN)
    mention = MENTION.search(shown)
    if mention:
        raise Refused(f"a mention: {shown[mention.start() : mention.start() + 40]!r}")
    reference = references and REFERENCE.search(shown)
    if reference:
        raise Refused(f"a reference: {shown[reference.start() : reference.start() + 40]!r}")
    return shown


def within(what, text, most):
    """Raises for a text of more UTF-16 units than that."""
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    if units > most:
        raise Refused(f"{what}: {units} characters, {most} fit")
