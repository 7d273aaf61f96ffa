"""PDF: pdfium first, pypdf for a second opinion.

Measured on 73 real CV (reference: reliability.md fact 7, performance.md section 2): pdfium finds 0.975 of the words
at 2.6 ms a file, pypdf 0.936 at 15 ms, since it glues the words of common LaTeX classes. On hostile files it is the
other way round: pdfium aborts the process on decompression bombs, pypdf refuses them. So pdfium reads first, and
pypdf where pdfium refuses the file, finds nothing on a page without pictures, or gives words that are glued or
spaced out; the better text is kept. When a child has died of a message, `Limits.cautious` reads it again by pypdf
alone: a bomb costs one child, not the message.
"""

from __future__ import annotations

import io
import re
from ctypes import c_double
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from inbox_agent.application import DocumentState
from inbox_agent.clean import clean_text, normal
from inbox_agent.formats.content import Content, Limits, damaged, found, locked
from inbox_agent.formats.ocr import recognise_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A line broken at a hyphen: pdfium marks it with U+FFFE (earlier releases: U+0002).
_HYPHEN_BREAK = re.compile("[\x02\ufffe][\r\n]*")
_SPACED_OUT = re.compile(r"(?<!\S)(?:[^\W\d_] ){3,}[^\W\d_](?!\S)")
_LONE_LETTERS = re.compile(r" [^\W\d_] [^\W\d_] ")  # in the middle of those; quicker to look for
_WORD_MEAN_MAX = 12  # characters; French prose has 5, a glued page 20 and more
_BLANKS_MIN = 0.08  # share of blanks in the text; prose has 0.15
_ENOUGH = 40  # characters beneath which a page counts as having no text


def read(octets: bytes, limits: Limits) -> Content:
    """The text of a PDF, pages in order, columns one after the other."""
    if limits.cautious:
        return _second(octets, limits)
    first = _first(octets, limits)
    if first.state is DocumentState.LOCKED or (first.state is DocumentState.SCANNED and first.images):
        return first
    if first.state is DocumentState.READ and not doubtful(first.text):
        return first
    second = _second(octets, limits)
    if second.state is not DocumentState.READ:
        return first if first.state is not DocumentState.DAMAGED else second
    if first.state is not DocumentState.READ or quality(second.text) > quality(first.text):
        return found(second.text, pages=second.pages, images=first.images, notes=first.notes)
    return first


def doubtful(text: str) -> bool:
    """Whether the words look glued together or spaced out."""
    if len(text) < 200:  # noqa: PLR2004 too short to tell
        return False
    words = text.split()
    length = sum(map(len, words))
    mean = length / max(len(words), 1)
    blanks = 1 - length / len(text)
    single = sum(word.isalpha() for word in words if len(word) == 1) / max(len(words), 1)
    return mean > _WORD_MEAN_MAX or blanks < _BLANKS_MIN or single > 0.4  # noqa: PLR2004 prose has 0.1


def quality(text: str) -> float:
    """The share of characters that stand in words of a plausible length."""
    words = text.split()
    return sum(len(word) for word in words if 2 <= len(word) <= 15) / max(sum(map(len, words)), 1)  # noqa: PLR2004


def tidy(text: str) -> str:
    """Ligatures split, accents composed, broken words mended, "É T U D E S" closed up."""
    if "\x02" in text or "\ufffe" in text:
        text = _HYPHEN_BREAK.sub("", text)
    text = normal(clean_text(text), "NFKC")
    return _SPACED_OUT.sub(lambda letters: letters[0].replace(" ", ""), text) if _LONE_LETTERS.search(text) else text


# --- pdfium ---------------------------------------------------------------------------------------------------


def _first(octets: bytes, limits: Limits) -> Content:
    import pypdfium2 as pdfium  # noqa: PLC0415 65 ms that a message without PDF need not pay

    try:
        document = pdfium.PdfDocument(octets)
    except pdfium.PdfiumError as error:
        return locked() if "password" in str(error).lower() else damaged()
    try:
        return _pages(document, limits)
    except pdfium.PdfiumError:
        return damaged()
    finally:
        document.close()


def _pages(document: Any, limits: Limits) -> Content:
    count = len(document)
    if not count:
        return damaged("aucune page")
    texts: list[str] = []
    images, length, tried = 0, 0, 0
    drawn = False
    for page in _each(document, min(count, limits.pages)):
        text = _page_text(page)
        if len(text.strip()) < _ENOUGH:
            objects = list(page.get_objects(max_depth=3))
            drawn = drawn or bool(objects)
            pictures = [item for item in objects if item.type == _IMAGE]
            images += bool(pictures)
            if (pictures or len(objects) > _CURVES) and tried < limits.ocr_pages:
                tried += 1
                text += _recognised(page, _scale(page, pictures), limits)
        texts.append(text)
        length += len(text)
        if length > limits.text:
            break
    text = tidy("\n\n".join(texts))[: limits.text].strip()
    notes = (f"seules les {limits.pages} premières pages sont lues",) if count > limits.pages else ()
    if not text and drawn and not images:
        # Letters drawn as curves (exports of drawing programs): a person reads them, no program does.
        return Content(DocumentState.SCANNED, pages=count, notes=("texte vectorisé, illisible par un programme",))
    return found(text, pages=count, images=images, notes=notes)


_IMAGE = 3  # FPDF_PAGEOBJ_IMAGE
_ACROFORM = 1  # FORMTYPE_ACRO_FORM; XFA forms need another pdfium


def _each(document: Any, count: int) -> Iterator[Any]:
    import pypdfium2 as pdfium  # noqa: PLC0415 see above

    forms = document.get_formtype() == _ACROFORM
    if forms:
        document.init_forms()
    for index in range(count):
        try:
            page = document[index]
        except pdfium.PdfiumError:  # One page of many is broken: the others count.
            continue
        try:
            if forms:  # What was typed into the fields becomes part of the page.
                page.flatten()
                page.close()
                page = document[index]
            yield page
        finally:
            page.close()


_CURVES = 100  # objects; a page of letters drawn as curves has hundreds, a drawn logo a few.
_PIXELS_MAX = 3600  # of the longer side: A4 at 300 dpi.


def _scale(page: Any, pictures: list[Any]) -> float:
    """Pixels a point at which the widest picture keeps its own resolution, from 75 to 300 dpi; 200 dpi for drawings."""
    most = _PIXELS_MAX / max(page.get_size())
    if not pictures:
        return float(min(200 / 72, most))
    widest = max(pictures, key=lambda picture: picture.get_px_size()[0])
    left, bottom, right, top = widest.get_bounds()
    shown = min(max(right - left, top - bottom), max(page.get_size())) or max(page.get_size())
    return float(min(max(max(widest.get_px_size()) / shown, 75 / 72), 300 / 72, most))


def _recognised(page: Any, scale: float, limits: Limits) -> str:
    bitmap = page.render(scale=scale, grayscale=True)  # 1 to 9 MB a page
    try:
        rows = memoryview(bitmap.buffer).cast("B")
        lines = (rows[row * bitmap.stride : row * bitmap.stride + bitmap.width] for row in range(bitmap.height))
        header = b"P5 %d %d 255\n" % (bitmap.width, bitmap.height)
        return recognise_page(header + b"".join(lines), limits)
    finally:
        bitmap.close()


def _page_text(page: Any) -> str:
    text_page = page.get_textpage()
    try:
        boxes = _boxes(text_page)
        gutter = interleaved(boxes, page.get_width())
        if gutter is None:
            return str(text_page.get_text_range())
        return _by_columns(text_page, boxes, gutter)
    finally:
        text_page.close()


_BOXES_MAX = 2000  # a page of text has 60 to 300

Box = tuple[float, float, float, float]  # left, bottom, right, top in points


def _boxes(text_page: Any) -> list[Box]:
    import pypdfium2 as pdfium  # noqa: PLC0415 see above

    count = text_page.count_rects()
    left, top, right, bottom = c_double(), c_double(), c_double(), c_double()
    boxes = []
    for index in range(count if count <= _BOXES_MAX else 0):
        if not pdfium.raw.FPDFText_GetRect(text_page, index, left, top, right, bottom):
            raise pdfium.PdfiumError("no rectangle")
        boxes.append((left.value, bottom.value, right.value, top.value))
    return boxes


def interleaved(boxes: Sequence[Box], width: float) -> float | None:
    """Where the gutter is, if two columns of prose are drawn line for line across it; None if the order is good.

    Labels with their values beside them ("2019–2023   Chargée de mission") are no columns: there the left side is
    narrow, and reading it apart would part the dates from the posts.
    """
    if len(boxes) < 12:  # noqa: PLR2004 too few lines to speak of columns
        return None
    if _crossing_all(boxes, width) > len(boxes) * 0.05:  # Lines from margin to margin: nearly every page.
        return None
    gutters = ((_crossing(boxes, width * step / 100), width * step / 100) for step in range(40, 61, 2))
    crossing, gutter = min(gutters)
    left = [box for box in boxes if box[2] <= gutter + _SLACK]
    right = [box for box in boxes if box[0] >= gutter - _SLACK]
    wide = all(sum(box[2] - box[0] for box in side) >= 0.2 * width * len(side) for side in (left, right))
    if crossing > len(boxes) * 0.05 or min(len(left), len(right)) < len(boxes) * 0.4 or not wide:
        return None
    changes = sum((one[0] >= gutter) != (other[0] >= gutter) for one, other in pairwise(boxes))
    return gutter if changes > len(boxes) * 0.5 else None


_SLACK = 2  # points that a letter may stand over


def _crossing(boxes: Sequence[Box], x: float) -> int:
    return sum(left < x - _SLACK and right > x + _SLACK for left, _, right, _ in boxes)


def _crossing_all(boxes: Sequence[Box], width: float) -> int:
    """How many boxes cross every line that could be a gutter."""
    first, last = width * 0.4 - _SLACK, width * 0.6 + _SLACK
    return sum(left < first and right > last for left, _, right, _ in boxes)


def _by_columns(text_page: Any, boxes: Sequence[Box], gutter: float) -> str:
    def lines(chosen: list[Box]) -> str:
        text, last = [], None
        for left, bottom, right, top in chosen:
            if last is not None:
                text.append(" " if abs(bottom - last) < 3 else "\n")  # noqa: PLR2004 points within one line
            text.append(str(text_page.get_text_bounded(left, bottom, right, top)).strip())
            last = bottom
        return "".join(text)

    return (
        lines([box for box in boxes if box[0] < gutter - 2])
        + "\n\n"
        + lines([box for box in boxes if box[0] >= gutter - 2])
    )


# --- pypdf ----------------------------------------------------------------------------------------------------


def _second(octets: bytes, limits: Limits) -> Content:
    import logging  # noqa: PLC0415 pypdf logs every fault of the file, with its text

    import pypdf  # noqa: PLC0415 130 ms, rarely needed

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = pypdf.PdfReader(io.BytesIO(octets))
        if reader.is_encrypted and not reader.decrypt(""):
            return locked()
        count = len(reader.pages)
        texts, images = _pypdf_pages(reader, min(count, limits.pages), limits.text)
    except Exception:  # noqa: BLE001 the barrier: ten corpus files raise outside pypdf.errors
        return damaged()
    return found(tidy("\n\n".join(texts))[: limits.text].strip(), pages=count, images=images)


def _pypdf_pages(reader: Any, count: int, length: int) -> tuple[list[str], int]:
    texts: list[str] = []
    images = 0
    for index in range(count):
        page = reader.pages[index]
        text = page.extract_text()
        if len(text.strip()) < _ENOUGH and "/XObject" in (page.get("/Resources") or {}):
            images += 1
        texts.append(text)
        length -= len(text)
        if length < 0:
            break
    return texts, images
