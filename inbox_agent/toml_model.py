"""A TOML file into a typed value, or every fault in it at once."""

from __future__ import annotations

import difflib
import re
import tomllib
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from inbox_agent.errors import ConfigError, Fault
from inbox_agent.shipped import shipped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydantic_core import ErrorDetails


_SECRET_KEYS = frozenset({"password", "client_secret", "refresh_token"})


class Section(BaseModel):
    """A table of a TOML file: unknown keys are faults, values do not change once read.

    `example` is the file that ships and shows every key.
    """

    example: ClassVar[str] = "config.example.toml"
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, str_strip_whitespace=True)


def identifier(longest: int, further: str = "") -> Callable[[str], str]:
    """A check that a text is a name for files and folders: small letters, digits, "-", "_" and `further`."""
    pattern = re.compile(rf"[a-z0-9][a-z0-9_{re.escape(further)}-]{{0,{longest - 1}}}")
    marks = ", ".join(f'"{mark}"' for mark in ("-", "_", *further))

    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(
                f'"{value:.80}" cannot be a name; Write small letters without accents, digits, {marks}, at most '
                f"{longest} characters, the first a letter or digit."
            )
        return value

    return check


Model = TypeVar("Model", bound=Section)


def load(path: Path, model: type[Model]) -> Model:
    """The file at `path` as `model`. Raises ConfigError with every fault: file, key, problem and remedy."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            (Fault(str(path), "file", "there is no such file", "Check the path, or write it."),)
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError((_unreadable(path, error),)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((_syntax(path, error),)) from None
    try:
        return model.model_validate(table, context={"folder": path.parent})
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise ConfigError(tuple(_fault(path, model, detail) for detail in details)) from None


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> Fault:
    if isinstance(error, UnicodeDecodeError):
        return Fault(str(path), f"octet {error.start}", "is not UTF-8", "Save the file as UTF-8.")
    return Fault(str(path), "file", f"cannot be read ({error.strerror})", "Check its owner and mode.")


def _syntax(path: Path, error: tomllib.TOMLDecodeError) -> Fault:
    """The parser says the line at the end: "Invalid value (at line 2, column 1)"."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error), re.DOTALL)
    place = f"line {found[2]}" if found and found[2] else "end of the file"
    return Fault(str(path), place, f"is no TOML: {found[1] if found else error}", "Correct it there.")


def _fault(path: Path, model: type[Section], detail: ErrorDetails) -> Fault:
    place = _dotted(detail["loc"])
    if detail["type"] == "extra_forbidden":
        return Fault(
            str(path),
            place,
            "unknown key",
            _nearest(str(detail["loc"][-1]), _known(model, detail["loc"][:-1])),
        )
    if detail["type"] == "missing":
        return Fault(str(path), place, "is missing", f"Add it; {shipped(model.example)} shows how.")
    problem, remedy = _sentence(detail)
    remedy = remedy or f"Correct it; {shipped(model.example)} shows what it may be."
    return Fault(str(path), place, _shown(detail) + problem, remedy)


def _sentence(detail: ErrorDetails) -> tuple[str, str]:
    """What is wrong with a value and what to write instead, by the kind of fault (pydantic_core.list_all_errors)."""
    limits, value = detail.get("ctx", {}), detail["input"]
    match detail["type"]:
        case "value_error":
            problem, _, remedy = detail["msg"].removeprefix("Value error, ").partition("; ")
            return problem, remedy
        case "literal_error" | "enum":
            return "is none of its values", f"Write {limits['expected'].replace(chr(39), chr(34))}."
        case "greater_than_equal":
            return "is too small", f"Write {limits['ge']} or more."
        case "less_than_equal":
            return "is too large", f"Write {limits['le']} or less."
        case "too_short" | "string_too_short":
            return "is empty", "Name at least one." if isinstance(value, list) else "Write a text."
        case "string_too_long":
            return f"is longer than {limits['max_length']} characters", "Shorten it."
    return _unlike(detail)


# What a value should be, by the first word of pydantic's kind of fault, and how it is written in TOML.
_SHAPES = {
    "string": ("a text", 'Write it in quotes: "…".'),
    "int": ("a whole number", "Write digits alone, without quotes."),
    "bool": ("yes or no", "Write true or false, without quotes."),
    "list": ("a list", 'Write it in brackets: ["…"].'),
    "date": ("a day", "Write it as 2024-02-15, without quotes."),
    "time": ("a time of day", 'Write it as "18:00".'),
    "path": ("a path", 'Write it in quotes: "…".'),
    "dict": ("a section", "Write its keys below [{section}], one a line."),
    "model": ("a section", "Write its keys below [{section}], one a line."),
}


def _unlike(detail: ErrorDetails) -> tuple[str, str]:
    section, value = ".".join(step for step in detail["loc"] if isinstance(step, str)), detail["input"]
    wanted, remedy = _SHAPES.get(detail["type"].partition("_")[0], ("what belongs here", ""))
    if wanted == "a list" and isinstance(value, dict):
        return "is one section, not a list of them", f"Write [[{section}]], with two brackets."
    return f"is {_kind_of(value)}, not {wanted}", remedy.format(section=section)


def _kind_of(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case dict():
            return "a section"
        case date() | time() | datetime():
            return "a date or time"
    return "something else"


def _shown(detail: ErrorDetails) -> str:
    """The value at fault as it is written, unless it may be a secret or is said already."""
    value = detail["input"]
    secret = any(step in _SECRET_KEYS for step in detail["loc"])
    if secret or not isinstance(value, str | int | float) or str(value) in detail["msg"]:
        return ""
    written = f'"{value}"' if isinstance(value, str) else str(value).lower()
    return f"{written:.80} "


def _dotted(loc: tuple[int | str, ...]) -> str:
    text = ""
    for step in loc:
        if step == "[key]":  # A fault of the key itself.
            continue
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "file"


def _nearest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f'Did you mean "{close[0]}"?' if close else f"Known here: {', '.join(sorted(known))}."


def _known(model: type[Section], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that the table at `loc` may have."""
    found: Any = model
    for step in loc:
        if isinstance(step, str) and step in found.model_fields:
            found = _section_of(found.model_fields[step].annotation) or found
    return list(found.model_fields)


def _section_of(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in getattr(annotation, "__args__", ()) if (found := _section_of(part))), None)
