"""HTML as a person reads it: blocks on lines of their own, quotations marked with "> ", nothing hidden."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from inbox_agent.clean import clean_text

if TYPE_CHECKING:
    from lxml.etree import _Element

# 2 MB of markup: two hundred times a long mail, and half a second of work.
HTML_MAX = 2_000_000

_SKIPPED = frozenset(("head", "script", "style", "title", "template", "noscript", "object", "svg", "select"))
_BLOCKS_WORDS = (
    "address article aside blockquote center dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 "
    "header hr li main nav ol p pre section table tr ul body html caption thead tbody tfoot"
)
_BLOCKS = frozenset(_BLOCKS_WORDS.split())
_APART = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "table"))
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|font-size\s*:\s*0(?:px|pt|em)?\s*(?:;|!|$)",
    re.IGNORECASE,
)
_BLANKS = re.compile(r"[ \t\r\n\f]+")


def html_text(markup: str) -> str:
    """The text of an HTML document or fragment, clean. Markup beyond HTML_MAX characters is ignored."""
    from lxml import etree  # noqa: PLC0415 40 ms that most messages need not pay

    if not markup.strip():
        return ""
    parser = etree.HTMLParser(recover=True, no_network=True, remove_comments=True, remove_pis=True, encoding="utf-8")
    octets = clean_text(markup[:HTML_MAX]).encode("utf-8", "replace")
    try:
        root = etree.fromstring(octets, parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if root is None:
        return clean_text(re.sub(r"<[^<>]{0,2000}>", " ", markup[:HTML_MAX])).strip()
    return _Writer().text(root)


class _Writer:
    """Lines in the making; iterative, since depth comes from outside."""

    __slots__ = ("_blank", "_line", "_lines", "_quotes")

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._quotes = 0
        self._blank = True

    def text(self, root: _Element) -> str:
        from lxml import etree  # noqa: PLC0415 see above

        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            tag = element.tag if isinstance(element.tag, str) else ""
            if event == "start":
                if tag in _SKIPPED or _hidden(element):
                    walk.skip_subtree()
                    continue
                self._open(tag)
                self._write(element.text)
            else:
                if not (tag in _SKIPPED or _hidden(element)):
                    self._close(tag)
                self._write(element.tail)
        self._break()
        return "\n".join(self._lines).strip("\n")

    def _open(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._break(apart=tag in _APART)
        match tag:
            case "blockquote":
                self._quotes += 1
            case "li":
                self._line.append("- ")
            case "br":
                self._break(kept=True)
            case "td" | "th" if self._line:
                self._line.append("\t")

    def _close(self, tag: str) -> None:
        if tag == "blockquote":
            self._break()
            self._quotes -= 1
        if tag in _BLOCKS:
            self._break(apart=tag in _APART)

    def _write(self, text: str | None) -> None:
        if text:
            self._line.append(_BLANKS.sub(" ", text))

    def _break(self, *, apart: bool = False, kept: bool = False) -> None:
        text = re.sub(r" {2,}", " ", "".join(self._line).replace("\xa0", " ")).strip(" ")
        text = re.sub(r" ?\t[ \t]*", "\t", text).strip("\t")
        mark = "> " * min(self._quotes, 9)
        if text and text != "-":
            self._lines.append(mark + text)
            self._blank = False
        elif kept and not self._blank:
            self._lines.append(mark.rstrip())
            self._blank = True
        self._line.clear()
        if apart and not self._blank:
            self._lines.append(mark.rstrip())
            self._blank = True


def _hidden(element: _Element) -> bool:
    style = element.get("style")
    return element.get("hidden") is not None or bool(style and _HIDDEN.search(style))
