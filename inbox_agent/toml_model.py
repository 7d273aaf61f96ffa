"""A TOML file into a typed value, or every fault in it at once."""

from __future__ import annotations

import difflib
import tomllib
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from inbox_agent.errors import ConfigError, Fault

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails


_SECRET_KEYS = frozenset({"password", "client_secret", "refresh_token"})


class Section(BaseModel):
    """A table of a TOML file: unknown keys are faults, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, str_strip_whitespace=True)


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
        raise ConfigError((Fault(str(path), "file", f"cannot be read ({error})", "Check the file."),)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((Fault(str(path), "syntax", str(error), "Correct the TOML there."),)) from None
    try:
        return model.model_validate(table, context={"folder": path.parent})
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise ConfigError(tuple(_fault(path, model, detail) for detail in details)) from None


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
        return Fault(str(path), place, "is missing", "Add it.")
    problem, _, remedy = detail["msg"].removeprefix("Value error, ").partition("; ")
    problem = _shown(detail) + problem
    return Fault(str(path), place, problem, remedy or "Correct the value; config.example.toml shows what it may be.")


def _shown(detail: ErrorDetails) -> str:
    """The value at fault, unless it may be a secret or is said already."""
    value = detail["input"]
    secret = any(step in _SECRET_KEYS for step in detail["loc"])
    if secret or not isinstance(value, str | int | float) or str(value) in detail["msg"]:
        return ""
    return f"{value!r:.80}: "


def _dotted(loc: tuple[int | str, ...]) -> str:
    text = ""
    for step in loc:
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
