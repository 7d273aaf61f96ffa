"""How good the rules are on a folder of labelled messages: accuracy, confusion matrix, and every miss.

Beside NAME.eml lies NAME.json: some of the keys of `explain` (kind, offer, candidate, timing, documents, missing,
reply as a template's name or null). A key that is left out, or null where a list is due, is not judged.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inbox_agent.application import Kind
from inbox_agent.errors import ConfigError, Fault
from inbox_agent.phrases import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

MEASURES = ("application or not", "kind", "offer", "documents", "missing", "timing", "address", "name", "reply")
_NEVER_ANSWERED = frozenset({"application", "follow_up", "withdrawal"})
_OF_CANDIDATES = frozenset({"application", "follow_up", "withdrawal", "doubt"})


@dataclass(frozen=True, slots=True)
class Case:
    """One message: what was expected of it, what `explain` says, and by measure whether they agree."""

    name: str
    expected: dict[str, Any]
    found: dict[str, Any]
    right: dict[str, bool]

    @property
    def missed(self) -> tuple[str, ...]:
        """The measures that are wrong."""
        return tuple(measure for measure, right in self.right.items() if not right)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All cases of a folder."""

    cases: tuple[Case, ...]

    def share(self, measure: str) -> float | None:
        """The share that is right, None where nothing was to be judged."""
        judged = [case.right[measure] for case in self.cases if measure in case.right]
        return sum(judged) / len(judged) if judged else None

    def confusion(self) -> Counter[tuple[str, str]]:
        """How often each kind was judged as each."""
        return Counter((case.expected["kind"], case.found["kind"]) for case in self.cases if "kind" in case.expected)

    @property
    def lost(self) -> tuple[str, ...]:
        """Applications judged as something that is neither application, follow-up nor doubt."""
        return tuple(
            case.name
            for case in self.cases
            if case.expected.get("kind") == "application"
            and case.found["kind"] not in ("application", "follow_up", "doubt")
        )

    @property
    def wrongly_answered(self) -> tuple[str, ...]:
        """Replies to what is no application."""
        return tuple(
            case.name
            for case in self.cases
            if case.found.get("reply") and case.expected.get("kind", "application") not in _NEVER_ANSWERED
        )


def evaluate(folder: Path, explain: Callable[[Path], dict[str, Any]]) -> Evaluation:
    """Judge every labelled message of a folder; `explain` gives the object of design section 6 for a file.

    Raises ConfigError with every label that cannot be read.
    """
    faults: list[Fault] = []
    cases = []
    for path in sorted(folder.rglob("*.eml")):
        label = path.with_suffix(".json")
        if not label.exists():
            continue
        expected = _label(label, faults)
        if expected is not None:
            found = explain(path)
            cases.append(Case(path.stem, expected, found, compare(expected, found)))
    if faults:
        raise ConfigError(tuple(faults))
    return Evaluation(tuple(cases))


def _label(path: Path, faults: list[Fault]) -> dict[str, Any] | None:
    try:
        label = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        faults.append(Fault(str(path), "file", f"cannot be read ({error})", "Write one JSON object."))
        return None
    kinds = [kind.value for kind in Kind]
    if not isinstance(label, dict) or label.get("kind") not in kinds:
        faults.append(Fault(str(path), "kind", "is missing or unknown", f"Write one of {', '.join(kinds)}."))
        return None
    wrong = [key for key, sound in _SOUND.items() if label.get(key) is not None and not sound(label[key])]
    faults += [Fault(str(path), key, "has another shape than explain's", _SHAPES[key]) for key in wrong]
    return None if wrong else label


_TEXTS = ("offer", "timing", "reply")
_SHAPES = {
    **dict.fromkeys(_TEXTS, "Write a text or null."),
    "missing": 'Write a list of kinds, as ["letter"].',
    "documents": 'Write a list of objects, as [{"kind": "cv"}].',
    "candidate": 'Write an object, as {"name": "Jeanne Dupont", "address": "jeanne@example.org"}.',
}
_SOUND: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_TEXTS, lambda value: isinstance(value, str)),
    "missing": lambda value: isinstance(value, list) and all(isinstance(kind, str) for kind in value),
    "documents": lambda value: (
        isinstance(value, list) and all(isinstance(one, dict) and isinstance(one.get("kind"), str) for one in value)
    ),
    "candidate": lambda value: (
        isinstance(value, dict) and all(isinstance(value.get(key), str | None) for key in ("name", "address"))
    ),
}


def compare(expected: dict[str, Any], found: dict[str, Any]) -> dict[str, bool]:
    """By measure whether they agree, for those that the label judges."""
    right = {
        "application or not": (expected["kind"] in _OF_CANDIDATES) == (found["kind"] in _OF_CANDIDATES),
        "kind": expected["kind"] == found["kind"],
    }
    plain = {"offer": "offer", "timing": "timing"}
    for measure, key in plain.items():
        if key in expected and expected["kind"] in _OF_CANDIDATES:
            right[measure] = expected[key] == found.get(key)
    if expected.get("documents") is not None:
        right["documents"] = _documents(expected["documents"]) == _documents(found.get("documents") or [])
    if expected.get("missing") is not None:
        right["missing"] = sorted(expected["missing"]) == sorted(found.get("missing") or [])
    if expected.get("candidate") is not None:
        candidate = found.get("candidate") or {}
        if address := expected["candidate"].get("address"):
            right["address"] = address == candidate.get("address")
        if name := expected["candidate"].get("name"):
            right["name"] = _same_name(name, candidate.get("name") or "")
    if "reply" in expected:
        right["reply"] = expected["reply"] == (found.get("reply") or {}).get("template")
    return right


def _documents(documents: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((document["kind"], document.get("where", "attachment")) for document in documents)


def _same_name(expected: str, found: str) -> bool:
    """Accents may be lost on the way to us; letters, capitals and order may not."""
    return " ".join(fold(expected).split()) == " ".join(fold(found).split()) and (
        expected == found or not found.isupper()
    )


def report(evaluation: Evaluation) -> str:
    """The result as text: shares, confusion matrix, what must never happen, and each miss."""
    lines = [f"{len(evaluation.cases)} labelled messages", ""]
    for measure in MEASURES:
        share = evaluation.share(measure)
        if share is not None:
            judged = [case for case in evaluation.cases if measure in case.right]
            lines.append(
                f"{measure:<20} {100 * share:6.1f} %   ({sum(c.right[measure] for c in judged)} of {len(judged)})"
            )
    lines += ["", *_matrix(evaluation), ""]
    lines.append(f"applications judged as something else: {', '.join(evaluation.lost) or 'none'}")
    lines.append(f"replies to what is no application: {', '.join(evaluation.wrongly_answered) or 'none'}")
    misses = [case for case in evaluation.cases if case.missed]
    lines += ["", f"misses: {len(misses)}"]
    lines += (line for case in misses for line in _miss(case))
    return "\n".join(lines)


def _matrix(evaluation: Evaluation) -> list[str]:
    """Expected kinds down, found kinds across."""
    confusion = evaluation.confusion()
    kinds = [kind.value for kind in Kind if any(kind.value in pair for pair in confusion)]
    if not kinds:
        return []
    width = max(len(kind) for kind in kinds) + 2
    lines = ["expected \\ found".ljust(18) + "".join(kind.rjust(width) for kind in kinds)]
    for expected in kinds:
        cells = [str(confusion[expected, found] or ".").rjust(width) for found in kinds]
        lines.append(expected.ljust(18) + "".join(cells))
    return lines


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _miss(case: Case) -> list[str]:
    lines = [f"  {case.name}"]
    keys = {"name": "candidate", "address": "candidate", "application or not": "kind"}
    for key in dict.fromkeys(keys.get(measure, measure) for measure in case.missed):
        expected, found = case.expected.get(key), case.found.get(key)
        if key == "documents":
            expected, found = _documents(expected or []), _documents(found or [])
        if key == "reply":
            found = (found or {}).get("template")
        lines.append(f"    {key}: expected {_shown(expected)}, found {_shown(found)}")
    if case.expected.get("why"):
        lines.append(f"    label: {case.expected['why']}")
    return lines
