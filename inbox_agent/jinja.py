"""Jinja2 as our templates want it: in its sandbox, strict, with French spaces and our filters.

Apart from templates.py because Jinja2 is slow to import and takes 5 MB: it is loaded when a template is rendered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.sandbox import ImmutableSandboxedEnvironment

from inbox_agent.wording import (
    clock_words,
    count_words,
    day_words,
    enumeration,
    french_spaces,
    moment_words,
    size_words,
    spark,
    thousands,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from jinja2 import Environment


class _FrenchSpaces(Extension):
    """Unbreakable spaces in the literal French text of text templates, never in a variable's value."""

    def filter_stream(self, stream: TokenStream) -> TokenStream | Iterable[Token]:
        if stream.name is None or not (stream.name.startswith("fr/") and stream.name.endswith(".txt.j2")):
            return stream
        return (
            Token(token.lineno, "data", french_spaces(token.value)) if token.type == "data" else token
            for token in stream
        )


def environment(folders: Sequence[Path]) -> Environment:
    """A template is looked for in each folder in turn."""
    made = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader([str(folder) for folder in folders]),
        undefined=StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        extensions=[_FrenchSpaces],
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        auto_reload=False,
    )
    made.filters |= {
        "day": day_words,
        "clock": clock_words,
        "moment": moment_words,
        "count": count_words,
        "thousands": thousands,
        "size": size_words,
        "spark": spark,
        "enumeration": enumeration,
    }
    return made
