"""The words of replies, digest and board: Jinja2 templates from a folder of the organisation's, else the shipped ones.

An organisation overrides one file by putting its own under the same name ("fr/late.txt.j2"). Templates are
configuration, written by people who may edit the rules; strangers' text only ever is a variable
(reliability.md threat 24). The sandbox bounds what a template may call, not its time or memory.
"""

from __future__ import annotations

import dataclasses
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.sandbox import ImmutableSandboxedEnvironment

from inbox_agent.errors import ConfigError, Fault
from inbox_agent.shipped import shipped
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
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from _typeshed import DataclassInstance

_REMEDY = "Correct the template, or delete it to use the shipped one."
TEXT_WIDTH = 72  # columns of a text part


class _FrenchSpaces(Extension):
    """Unbreakable spaces in the literal French text of text templates, never in a variable's value."""

    def filter_stream(self, stream: TokenStream) -> TokenStream | Iterable[Token]:
        if stream.name is None or not (stream.name.startswith("fr/") and stream.name.endswith(".txt.j2")):
            return stream
        return (
            Token(token.lineno, "data", french_spaces(token.value)) if token.type == "data" else token
            for token in stream
        )


@dataclass(frozen=True, slots=True)
class Templates:
    """Compiled templates; `names` are those that can be rendered ("fr/late.txt.j2")."""

    environment: Environment
    names: tuple[str, ...]

    def render(self, name: str, values: DataclassInstance, **more: Any) -> str:
        """Render with the fields of `values` (and `more`) as variables. Raises jinja2.TemplateError."""
        return "".join(self.pieces(name, values, **more))

    def pieces(self, name: str, values: DataclassInstance, **more: Any) -> Iterator[str]:
        """The same, one piece after the other, for what is large."""
        fields = {field.name: getattr(values, field.name) for field in dataclasses.fields(values)}
        return self.environment.get_template(name).generate(fields, **more)


def load_templates(folder: Path | None = None) -> Templates:
    """Compile everything once; files of `folder` go before the shipped ones of the same name.

    Raises ConfigError with every file that cannot be compiled.
    """
    templates, faults = compiled(folder)
    if faults:
        raise ConfigError(faults)
    return templates


def compiled(folder: Path | None = None) -> tuple[Templates, tuple[Fault, ...]]:
    """See load_templates: those that can be compiled, and what is wrong with the others."""
    folders = [*([folder] if folder is not None else []), shipped("templates")]
    environment = _environment(FileSystemLoader([str(each) for each in folders]))
    names = tuple(name for name in environment.list_templates() if name.endswith(".j2"))
    wrong = {name: fault for name in names if (fault := _syntax_fault(environment, name)) is not None}
    sound = (name for name in names if name not in wrong)
    whole = tuple(name for name in sound if not name.rpartition("/")[2].startswith("_"))
    return Templates(environment, whole), tuple(wrong.values())


def _environment(loader: FileSystemLoader) -> Environment:
    environment = ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        extensions=[_FrenchSpaces],
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        auto_reload=False,
    )
    environment.filters |= {
        "day": day_words,
        "clock": clock_words,
        "moment": moment_words,
        "count": count_words,
        "thousands": thousands,
        "size": size_words,
        "spark": spark,
        "enumeration": enumeration,
        "percent_encoded": lambda text: quote(text, safe="@"),  # RFC 6068 wants the @ of an address as it is.
    }
    return environment


def _syntax_fault(environment: Environment, name: str) -> Fault | None:
    try:
        environment.get_template(name)
    except TemplateSyntaxError as error:
        return Fault(
            error.filename or name,
            f"line {error.lineno}",
            error.message or "syntax error",
            _REMEDY,
        )
    except UnicodeDecodeError as error:
        return Fault(name, f"octet {error.start}", "is not UTF-8", "Save the file as UTF-8.")
    except TemplateError as error:
        return Fault(name, "file", str(error), _REMEDY)
    return None


def fill(text: str, *, flowed: bool = False) -> str:
    """Wrap every line at 72 columns and leave at most one blank line in a row.

    A template writes one line per paragraph. With `flowed`, soft breaks end in a space (RFC 3676 4.2) and
    lines that need it are stuffed (4.4), so that a telephone can lay the paragraph out again.
    """
    lines: list[str] = []
    for line in text.strip("\n").split("\n"):
        if line.strip() or (lines and lines[-1]):
            lines.extend(_wrapped(line, flowed=flowed))
    return "\n".join(lines).rstrip() + "\n"


def _wrapped(line: str, *, flowed: bool) -> list[str]:
    if line == "-- ":  # the signature separator keeps its space (RFC 3676 4.3)
        return [line]
    if len(line) < TEXT_WIDTH and not line.startswith((" ", ">", "From ")):
        return [line.rstrip(" ")]
    indent = "" if flowed else " " * (len(line) - len(line.lstrip(" –-•")))
    parts = textwrap.wrap(
        line.rstrip(" "),
        TEXT_WIDTH - 1,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    ) or [""]
    if not flowed:
        return parts
    stuffed = [f" {part}" if part.startswith((" ", ">", "From ")) else part for part in parts]
    return [f"{part} " for part in stuffed[:-1]] + stuffed[-1:]
