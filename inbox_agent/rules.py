"""The vocabulary and weights by which mail is judged, read from the rules folder; every fault at once.

stdlib only: this is imported in the child that reads messages, whose start-up time counts.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from inbox_agent.application import Kind
from inbox_agent.document_rules import DocumentRules, load_document_rules
from inbox_agent.errors import ConfigError, Fault
from inbox_agent.phrases import PhraseBook, check_phrase
from inbox_agent.shipped import shipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class Speaks(StrEnum):
    """What the words of a cue speak for."""

    APPLICATION = "application"
    FOLLOW_UP = "follow_up"
    ENQUIRY = "enquiry"
    WITHDRAWAL = "withdrawal"
    AUTOMATIC = "automatic"
    BULK = "bulk"
    OTHER = "other"
    FACT = "fact"


class Place(StrEnum):
    """Where the words of a cue are looked for."""

    SUBJECT = "subject"
    BODY = "body"
    NAMES = "names"
    DOCUMENTS = "documents"
    SENDER = "sender"


@dataclass(frozen=True, slots=True)
class Cue:
    """Phrases that say one thing together. `says` is that thing, in French, for staff."""

    id: str
    says: str
    speaks: Speaks
    weight: float
    places: frozenset[Place]


@dataclass(frozen=True, slots=True)
class RecognitionRules:
    """Everything of recognition.toml. `book` finds "id" for a phrase and "id!" for one that cancels it."""

    cues: Mapping[str, Cue]
    book: PhraseBook
    weights: Mapping[str, float]
    lists: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What each finding adds for each kind (logits), and from where on that counts (probabilities); second_look.py."""

    kinds: tuple[Kind, ...]
    start: tuple[float, ...]
    weights: Mapping[str, tuple[float, ...]]
    unlike: float = 0.15
    alike: float = 0.7
    leans: float = 0.4
    sure: float = 0.85
    certain: float = 0.97
    likelier: float = 3.0


@dataclass(frozen=True, slots=True)
class Rules:
    """All the rules but the offers."""

    recognition: RecognitionRules
    documents: DocumentRules
    second_look: SecondLook


_Choice = TypeVar("_Choice", bound=StrEnum)

# Tests that look at something else than phrases; each needs a weight in the file.
WEIGHTS = (
    "addressed_to",
    "in_copy",
    "other_staff_address",
    "cv",
    "letter",
    "cv_and_letter",
    "letter_in_body",
    "named_cv",
    "named_letter",
    "cloud_link",
    "offer_reference",
    "offer_title",
    "offer_keyword",
    "question_mark",
    "thread",
    "automatic_header",
    "bulk_header",
    "calendar",
    "delivery_report",
    "staff_sender",
    "no_reply_sender",
    "job_board_sender",
)
LISTS = (
    "job_boards",
    "employment_services",
    "cloud_hosts",
    "transfer_services",
    "no_reply_names",
    "system_names",
    "shared_names",
    "vague_posts",
    "empty_words",
    "no_names",
    "real_words",
    "trades",
    "job_words",
)
_HEAVIEST = 100
_CUE_KEYS = ("says", "for", "weight", "in", "phrases", "unless")


def load_rules(folder: Path) -> Rules:
    """The rules of a folder; a file that is missing there is taken from those that ship.

    Raises ConfigError with every fault of every file.
    """
    faults: list[Fault] = []
    recognition, documents, look = None, None, None
    try:
        recognition = load_recognition_rules(_file(folder, "recognition.toml"))
    except ConfigError as error:
        faults += error.faults
    try:
        documents = load_document_rules(_file(folder, "documents.toml"))
    except ConfigError as error:
        faults += error.faults
    try:
        look = load_second_look(_file(folder, "second_look.toml"))
    except ConfigError as error:
        faults += error.faults
    if recognition is None or documents is None or look is None:
        raise ConfigError(tuple(faults))
    return Rules(recognition, documents, look)


def _file(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).exists() else shipped("rules") / name


def load_recognition_rules(path: Path) -> RecognitionRules:
    """The rules of one file. Raises ConfigError with every fault in it."""
    return _Reader(str(path)).rules(_table(path))


_LIMITS = ("unlike", "alike", "leans", "sure", "certain", "likelier")


def load_second_look(path: Path) -> SecondLook:
    """The weights of a file. Raises ConfigError."""
    table = _table(path)
    try:
        kinds = tuple(Kind(kind) for kind in table["weights"]["kinds"])
        lines = (line.split() for line in table["weights"]["table"].splitlines())
        weights = {
            name: tuple(float(add) for add, _ in zip(adds, kinds, strict=True))  # One for each kind.
            for name, *adds in lines
        }
        limits = {name: float(table["limits"][name]) for name in _LIMITS}
        return SecondLook(kinds, weights.pop("start"), weights, **limits)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        wrong = f"is not what tests/fit_second_look.py writes ({error})"
    raise ConfigError((Fault(str(path), "file", wrong, "Remove it: the one that ships is used then."),))


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        fault = Fault(str(path), "file", f"cannot be read ({error.strerror})", "Check its path and permissions.")
    except UnicodeDecodeError as error:
        fault = Fault(str(path), f"octet {error.start}", "is not UTF-8", "Save the file as UTF-8.")
    except tomllib.TOMLDecodeError as error:
        fault = Fault(str(path), "syntax", str(error), "Correct the TOML at that line.")
    raise ConfigError((fault,)) from None


class _Reader:
    """Turns the tables of one file into values and gathers what is wrong."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._faults: list[Fault] = []

    def rules(self, table: dict[str, Any]) -> RecognitionRules:
        self._unknown("", table, ("weights", "lists", "cue"))
        weights = self._weights(self._part(table, "weights"))
        lists = self._lists(self._part(table, "lists"))
        cues: dict[str, Cue] = {}
        phrases: list[tuple[str, str]] = []
        for name, cue in self._part(table, "cue").items():
            read = self._cue(name, cue)
            if read is not None:
                cues[name] = read[0]
                phrases += read[1]
        if self._faults:
            raise ConfigError(tuple(self._faults))
        return RecognitionRules(cues, PhraseBook(phrases, lists["real_words"]), weights, lists)

    def _weights(self, table: dict[str, Any]) -> dict[str, float]:
        self._unknown("weights.", table, WEIGHTS)
        self._missing("weights.", table, WEIGHTS, "= 1.0")
        return {name: self._number(f"weights.{name}", value) for name, value in table.items()}

    def _lists(self, table: dict[str, Any]) -> dict[str, frozenset[str]]:
        self._unknown("lists.", table, LISTS)
        self._missing("lists.", table, LISTS, "= []")
        return {
            name: frozenset(word.lower() for word in self._texts(f"lists.{name}", value))
            for name, value in table.items()
        }

    def _cue(self, name: str, table: Any) -> tuple[Cue, list[tuple[str, str]]] | None:
        place = f"cue.{name}"
        if not isinstance(table, dict):
            self._fault(place, "is no table", f"Write [cue.{name}] on a line of its own.")
            return None
        before = len(self._faults)
        self._unknown(f"{place}.", table, _CUE_KEYS)
        self._missing(f"{place}.", table, ("says", "for", "weight", "in", "phrases"), "= …")
        says = table.get("says", "")
        if not isinstance(says, str):
            self._fault(f"{place}.says", f"{says!r} is no text", "Write a short French phrase in quotes.")
        speaks = self._choice(f"{place}.for", table.get("for", "fact"), Speaks)
        places = [self._choice(f"{place}.in", one, Place) for one in self._texts(f"{place}.in", table.get("in", []))]
        weight = self._number(f"{place}.weight", table.get("weight", 0.0))
        phrases = self._phrases(name, table, "phrases", name) + self._phrases(name, table, "unless", f"{name}!")
        if len(self._faults) > before or speaks is None:
            return None
        return Cue(name, says, speaks, weight, frozenset(one for one in places if one is not None)), phrases

    def _phrases(self, name: str, table: dict[str, Any], key: str, found_as: str) -> list[tuple[str, str]]:
        place = f"cue.{name}.{key}"
        phrases = [(found_as, phrase) for phrase in self._texts(place, table.get(key, []))]
        for _, phrase in phrases:
            try:
                check_phrase(phrase)
            except ValueError as error:
                self._fault(
                    place,
                    f'"{phrase}" cannot be looked for: {error}',
                    "Use words, word*, one|other, _ (two words at most between) and … (six at most).",
                )
        return phrases

    def _part(self, table: dict[str, Any], name: str) -> dict[str, Any]:
        part = table.get(name)
        if isinstance(part, dict):
            return part
        self._fault(name, "is missing or no table", f"Add a [{name}] table, as in the file that ships.")
        return {}

    def _texts(self, place: str, value: Any) -> list[str]:
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return value
        self._fault(place, f"{value!r} is no list of texts", 'Write ["one", "two"].')
        return []

    def _number(self, place: str, value: Any) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _HEAVIEST:
            return float(value)
        self._fault(place, f"{value!r} is no weight", "Write a number between -100 and 100.")
        return 0.0

    def _choice(self, place: str, value: Any, choices: type[_Choice]) -> _Choice | None:
        try:
            return choices(value)
        except ValueError:
            self._fault(place, f"{value!r} is not known", self._nearest(str(value), [one.value for one in choices]))
            return None

    def _unknown(self, prefix: str, table: dict[str, Any], known: Iterable[str]) -> None:
        for key in table:
            if key not in known:
                self._fault(f"{prefix}{key}", "is an unknown key", self._nearest(key, list(known)))

    def _missing(self, prefix: str, table: dict[str, Any], needed: Iterable[str], example: str) -> None:
        for key in needed:
            if key not in table:
                self._fault(f"{prefix}{key}", "is missing", f"Add {key} {example}")

    def _nearest(self, value: str, known: list[str]) -> str:
        near = difflib.get_close_matches(value, known, n=1, cutoff=0.5)
        return f'Did you mean "{near[0]}"?' if near else f"Known are: {', '.join(known)}."

    def _fault(self, place: str, problem: str, remedy: str) -> None:
        self._faults.append(Fault(self._file, place, problem, remedy))
