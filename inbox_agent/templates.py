"""The words of replies, digest and board: Jinja2 templates from a folder of the organisation's, else the shipped ones.

An organisation overrides one file by putting its own under the same name ("fr/late.txt.j2"). Templates are
configuration, written by people who may edit the rules; strangers' text only ever is a variable
(reliability.md threat 24). The sandbox bounds what a template may call, not its time or memory.
"""

from __future__ import annotations

import dataclasses
import textwrap
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from inbox_agent.errors import ConfigError, Fault
from inbox_agent.shipped import shipped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _typeshed import DataclassInstance
    from jinja2 import Environment

_REMEDY = "Correct the template, or delete it to use the shipped one."
TEXT_WIDTH = 72  # columns of a text part


@dataclass(frozen=True)
class Templates:
    """Templates by name ("fr/late.txt.j2"), of the first folder that has one of that name.

    Each is compiled when it is first rendered: a service that has nothing to write does without Jinja2 (5 MB).
    """

    folders: tuple[Path, ...]

    @cached_property
    def environment(self) -> Environment:
        """Jinja2, with our filters."""
        from inbox_agent.jinja import environment  # noqa: PLC0415 - see above

        return environment(self.folders)

    def render(self, name: str, values: DataclassInstance, **more: Any) -> str:
        """Render with the fields of `values` (and `more`) as variables. Raises jinja2.TemplateError."""
        return "".join(self.pieces(name, values, **more))

    def pieces(self, name: str, values: DataclassInstance, **more: Any) -> Iterator[str]:
        """The same, one piece after the other, for what is large."""
        fields = {field.name: getattr(values, field.name) for field in dataclasses.fields(values)}
        return self.environment.get_template(name).generate(fields, **more)


def templates_of(folder: Path | None = None) -> Templates:
    """Those of `folder` before the shipped ones of the same name; nothing is read yet."""
    return Templates((*([folder] if folder is not None else []), shipped("templates")))


def load_templates(folder: Path | None = None) -> Templates:
    """The same, all of them compiled. Raises ConfigError with every file that cannot be."""
    templates, faults = compiled(folder)
    if faults:
        raise ConfigError(faults)
    return templates


def compiled(folder: Path | None = None) -> tuple[Templates, tuple[Fault, ...]]:
    """See load_templates: all of them, and what is wrong with those that cannot be compiled."""
    templates = templates_of(folder)
    names = (name for name in templates.environment.list_templates() if name.endswith(".j2"))
    return templates, tuple(fault for name in names if (fault := _syntax_fault(templates.environment, name)))


def _syntax_fault(environment: Environment, name: str) -> Fault | None:
    from jinja2 import TemplateError, TemplateSyntaxError  # noqa: PLC0415 - see Templates

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
