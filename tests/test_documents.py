"""How right the classification is on the labelled documents: `python tests/test_documents.py` prints the tables.

A third, by the hash of the file's name, was held apart while the weights were first set. Each later set of sources
(exam, trades, fourth to sixteenth) was judged once before anything was changed for it; those blind numbers, the honest
ones, stand in the commits: 46/50, 19/28, 39/40, 22/25, 20/20, 47/58, 23/31, 23/28, 38/42, 14/23, 25/28, 24/27, 25/26,
16/18, 186/215 with text. From the seventh on they hold mostly careers told in sentences, letters without any word of
applying, and the neighbours of both: the hardest there are.

A logistic regression over the same findings, and over shares of short lines, persons and dates, was tried on these
sets, each left out in turn: 96 of 100 letters and 98 of 100 CVs right, as with the weights written by hand. So there
is no model.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from inbox_agent.classify import Classified, classify, classify_body, load_document_rules
from inbox_agent.extract import extract
from inbox_agent.formats.content import Limits
from inbox_agent.message import Attachment
from inbox_agent.shipped import shipped

if TYPE_CHECKING:
    from types import ModuleType

HERE = Path(__file__).resolve().parent
RULES = load_document_rules(shipped("rules") / "documents.toml")


def _make() -> ModuleType:
    """documents/make.py, under a name of its own: messages/ has a make.py too."""
    spec = importlib.util.spec_from_file_location("make_documents", HERE / "documents" / "make.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


make = _make()


@dataclass(frozen=True, slots=True)
class Judged:
    file: str
    expected: str
    has_text: bool
    held: bool
    result: Classified

    @property
    def right(self) -> bool:
        return self.result.kind == self.expected


def is_held(name: str) -> bool:
    """Whether a document belongs to the third held apart from the first setting of the weights."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 3 == 0


@cache
def judged() -> tuple[Judged, ...]:
    table = tomllib.loads((make.FILES / "expected.toml").read_text(encoding="utf-8"))
    return tuple(_judge(label) for label in table["document"])


def _judge(label: dict) -> Judged:
    path = make.FILES / label["file"]
    # Where a name is not part of the case, a neutral one leaves the content alone to speak.
    neutral = label["file"] if not label["text"] else f"document{path.suffix}"
    attachment = Attachment(
        "1", label.get("sent_as", neutral), "application/octet-stream", "attachment", None, path.read_bytes()
    )
    (read,) = extract(attachment, Limits())
    result = classify(
        read.text,
        name=read.name,
        state=read.state,
        pages=read.pages,
        images=read.images,
        media_type=read.media_type,
        vocabulary=RULES,
    )
    return Judged(label["file"], label["kind"], label["text"], is_held(label["file"]), result)


def wrong(documents: list[Judged]) -> list[str]:
    return [f"{document.file}: {document.result.kind}" for document in documents if not document.right]


@pytest.mark.parametrize("held", [False, True], ids=["open", "held"])
def test_documents_with_text_are_judged_right_in_97_of_100(held):
    documents = [document for document in judged() if document.has_text and document.held is held]

    assert len(wrong(documents)) <= 0.03 * len(documents), wrong(documents)


@pytest.mark.parametrize("held", [False, True], ids=["open", "held"])
def test_documents_without_text_are_judged_right_in_90_of_100(held):
    documents = [document for document in judged() if not document.has_text and document.held is held]

    assert len(wrong(documents)) <= 0.1 * len(documents), wrong(documents)


def test_a_body_is_the_letter_only_when_it_argues():
    missed = [name for name, letter, text in make.bodies() if (classify_body(text, RULES) is not None) != letter]

    assert len(missed) <= 0.05 * len(list(make.bodies())), missed


def test_the_files_are_those_that_the_sources_make():
    table = tomllib.loads((make.FILES / "expected.toml").read_text(encoding="utf-8"))

    assert [label["file"] for label in table["document"]] == [source.file for source in make.documents()]


def test_every_verdict_says_why():
    silent = [document.file for document in judged() if not document.result.evidence]

    # A document in which nothing was found at all has nothing to show.
    assert [file for file in silent if not file.startswith(("budget", "planning"))] == []


def main(*, show_held: bool) -> None:
    for held in (False, True):
        documents = [document for document in judged() if document.held is held]
        sys.stdout.write(f"\n{'held apart' if held else 'open'}: {len(documents)} documents\n")
        for has_text in (True, False):
            some = [document for document in documents if document.has_text is has_text]
            right = sum(document.right for document in some)
            sys.stdout.write(f"  {'with' if has_text else 'without'} text {right}/{len(some)}\n")
        confusion = Counter((document.expected, str(document.result.kind)) for document in documents)
        for (expected, found), count in sorted(confusion.items()):
            sys.stdout.write(f"    {expected:14} judged {found:14} {count}\n")
        for document in documents:
            if not document.right:
                sys.stdout.write(f"  wrong: {document.file} {document.expected} -> {document.result.kind}\n")
                for item in document.result.evidence if show_held or not held else ():
                    sys.stdout.write(f"           {item.weight:+.2f} {item.test}: {item.found}\n")
    missed = [name for name, letter, text in make.bodies() if (classify_body(text, RULES) is not None) != letter]
    sys.stdout.write(f"\nbodies wrong: {missed}\n")


if __name__ == "__main__":
    main(show_held="--held" in sys.argv)
