"""Makes the labelled documents of tests/documents/files from the readable sources beside this file.

    python tests/documents/make.py

A source opens with "@@ file kind layout", and may name the file as the candidate sent it ("as=CV.pdf"). "===" parts
columns or text boxes, " || " cells, "<page>" pages. `files/expected.toml` holds the labels. The same sources give
the same octets, but for the clock that Word files carry.
"""

from __future__ import annotations

import io
import json
import re
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "sources"
FILES = HERE / "files"
sys.path.insert(0, str(HERE.parent))

import making  # noqa: E402 lies beside this folder, which is no package

WITHOUT_TEXT = {"scan", "image", "encrypted", "damaged", "empty"}


@dataclass(frozen=True, slots=True)
class Source:
    """One labelled document: `file` is unique here, `sent_as` is the name that the classifier sees."""

    file: str
    kind: str
    layout: str
    sent_as: str | None
    text: str

    @property
    def has_text(self) -> bool:
        return self.layout not in WITHOUT_TEXT


def documents() -> Iterator[Source]:
    """Every labelled document, in the order of the sources."""
    for path in sorted(SOURCES.glob("*.txt")):
        if path.stem == "body":
            continue
        for block in re.split(r"^@@ ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            head, _, text = block.partition("\n")
            words, _, sent_as = head.partition(" as=")
            file, kind, layout = words.split()
            yield Source(file, kind, layout, sent_as or None, text.strip())


def bodies() -> Iterator[tuple[str, bool, str]]:
    """Bodies of messages: a name, whether it is a letter, the text."""
    text = (SOURCES / "body.txt").read_text(encoding="utf-8")
    for block in re.split(r"^@@ ", text, flags=re.MULTILINE)[1:]:
        head, _, body = block.partition("\n")
        name, kind = head.split()
        yield name, kind == "letter", body.strip()


def octets_of(source: Source) -> bytes:  # noqa: C901, PLR0912 a table of formats
    """The document in the format of its name."""
    lines = source.text.split("\n")
    match source.file.rpartition(".")[2], source.layout:
        case _, "empty":
            return b""
        case _, "damaged":
            return octets_of(Source(source.file, source.kind, "plain", None, source.text))[:700]
        case "pdf", "scan":
            return making.scanned_pdf(lines, pages=2 if source.kind == "cv_and_letter" else 1)
        case "pdf", "encrypted":
            return making.encrypted_pdf(lines)
        case "pdf", layout:
            return pdf(source.text, layout)
        case "png" | "jpg" as ending, _:
            return making.picture(lines, file_format="JPEG" if ending == "jpg" else "PNG", width=620, height=877)
        case "docx", "table":
            return making.docx((), tables=[[line.split("||") for line in lines]])
        case "docx", "textboxes":
            return docx_of_boxes(source.text)
        case "docx", "controls":
            return making.docx(lines[:3], content_control=lines[3:])
        case "docx", _:
            return making.docx(unpaged(lines))
        case "docm", _:
            return making.docm(lines)
        case "dotx", _:
            return making.dotx(lines)
        case "odt", _:
            return making.odt([cell for line in unpaged(lines) for cell in line.split(" || ")])
        case "rtf" | "doc", _:
            return making.rtf(lines)
        case "html", _:
            return html(lines)
        case _:
            return source.text.replace("<page>\n", "\n").encode()


def unpaged(lines: list[str]) -> list[str]:
    return ["" if line == "<page>" else line for line in lines]


def html(lines: list[str]) -> bytes:
    body = "\n".join(line if line.startswith("<") else f"<p>{escape(line)}</p>" for line in lines)
    return f'<!DOCTYPE html><html><head><meta charset="utf-8"></head><body>{body}</body></html>'.encode()


def docx_of_boxes(text: str) -> bytes:
    """Every part in a text box of its own, as the templates of Word do."""
    import docx as python_docx  # noqa: PLC0415 only this layout pays for it
    from docx.oxml import parse_xml  # noqa: PLC0415 see above

    document = python_docx.Document()
    body = document.element.body
    for box in text.split("===\n"):
        body.insert(len(body) - 1, parse_xml(making._textbox(box.strip().split("\n"))))
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


# --- PDF ------------------------------------------------------------------------------------------------------


def pdf(text: str, layout: str) -> bytes:
    from reportlab import rl_config  # noqa: PLC0415 only a PDF pays for it
    from reportlab.lib.pagesizes import A4  # noqa: PLC0415 see above
    from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415 see above

    rl_config.invariant = 1
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4)
    for page in text.split("<page>\n"):
        match layout:
            case "sidebar":
                _columns(canvas, page, widths=(150, 340))
            case "two-columns":
                _columns(canvas, page, widths=(240, 240))
            case "interleaved":
                _rows(canvas, [list(pair) for pair in _side_by_side(page)], widths=(180, 320))
            case "table":
                _rows(canvas, [line.split("||") for line in page.split("\n")], widths=(190, 150, 90, 90))
            case _:
                _flow(canvas, page, x=50, width=490)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _flow(canvas, text: str, *, x: float, width: float, top: float = 790) -> None:
    from reportlab.lib.utils import simpleSplit  # noqa: PLC0415 only a PDF pays for it

    y = top
    for line in text.rstrip().split("\n"):
        for piece in simpleSplit(line, "Helvetica", 10, width) or [""]:
            if y < 40:
                canvas.showPage()
                y = top
            canvas.setFont("Helvetica", 10)
            canvas.drawString(x, y, piece)
            y -= 13


def _columns(canvas, page: str, *, widths: tuple[float, float]) -> None:
    x = 40.0
    for column, width in zip(page.split("===\n"), widths, strict=False):
        _flow(canvas, column, x=x, width=width)
        x += width + 25


def _rows(canvas, rows: list[list[str]], *, widths: tuple[float, ...]) -> None:
    from reportlab.lib.utils import simpleSplit  # noqa: PLC0415 only a PDF pays for it

    y = 790.0
    for row in rows:
        x, tallest = 40.0, 1
        wide = sum(widths) if len(row) == 1 else 0
        for cell, width in zip(row, widths, strict=False):
            pieces = simpleSplit(cell.strip(), "Helvetica", 10, wide or width - 8)
            for number, piece in enumerate(pieces):
                canvas.setFont("Helvetica", 10)
                canvas.drawString(x, y - 13 * number, piece)
            tallest = max(tallest, len(pieces))
            x += width
        y -= 13 * tallest + 3
        if y < 60:
            canvas.showPage()
            y = 790.0


def _side_by_side(page: str) -> list[tuple[str, str]]:
    left, _, right = page.partition("===\n")
    left_lines, right_lines = left.split("\n"), right.split("\n")
    tall = max(len(left_lines), len(right_lines))
    left_lines += [""] * (tall - len(left_lines))
    right_lines += [""] * (tall - len(right_lines))
    return list(zip(left_lines, right_lines, strict=True))


def main() -> None:
    FILES.mkdir(exist_ok=True)
    labels = []
    for source in documents():
        (FILES / source.file).write_bytes(octets_of(source))
        label = f"[[document]]\nfile = {json.dumps(source.file)}\nkind = {json.dumps(source.kind)}\n"
        label += f"text = {json.dumps(source.has_text)}\n"
        if source.sent_as:
            label += f"sent_as = {json.dumps(source.sent_as, ensure_ascii=False)}\n"
        labels.append(label)
    (FILES / "expected.toml").write_text("\n".join(labels), encoding="utf-8")
    sys.stdout.write(f"{len(labels)} documents in {FILES.name}/\n")


if __name__ == "__main__":
    main()
