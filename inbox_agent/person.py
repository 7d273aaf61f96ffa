"""The candidate's name and address, from where people write them: headers, forwards, signatures, CVs.

A surname is told from a given name by capitals, by a comma, by the address, and by common French first
names; in doubt the order is that of speech, given name first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inbox_agent.application import Candidate
from inbox_agent.given_names import GIVEN_NAMES
from inbox_agent.phrases import fold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from inbox_agent.message import Address

_PARTICLES = frozenset(
    [
        "de",
        "du",
        "des",
        "la",
        "le",
        "les",
        "van",
        "von",
        "der",
        "den",
        "ter",
        "vander",
        "vanden",
        "dos",
        "da",
        "das",
        "di",
        "del",
        "della",
        "el",
        "al",
        "ben",
        "ibn",
        "bin",
        "bel",
        "abou",
        "abu",
        "ould",
        "ait",
        "mc",
        "mac",
        "saint",
        "st",
        "sainte",
        "san",
        "o",
        "d",
        "l",
    ]
)
_LOWER_PARTICLES = frozenset(
    {"de", "du", "des", "van", "von", "der", "den", "ter", "dos", "da", "das", "di", "del", "della"}
)
_TITLES = frozenset(
    [
        "m",
        "mr",
        "mme",
        "mlle",
        "monsieur",
        "madame",
        "mademoiselle",
        "dr",
        "pr",
        "me",
        "maitre",
        "docteur",
        "prof",
        "miss",
        "mrs",
        "ms",
        "adjudant",
        "adjudant-chef",
        "capitaine",
        "colonel",
        "commandant",
        "lieutenant",
        "sergent",
        "major",
        "abbe",
        "soeur",
        "professeur",
        "professor",
        "sir",
    ]
)
_VIA = re.compile(
    r"\s*(?:\(?\bvia\b.*|\bn[ée]e [^\W\d_].*|\bpar l'interm[ée]diaire\b.*|\bsur (?:indeed|linkedin|hellowork)\b.*"
    r"|[-–|/(\[<·,].{0,3}(?:indeed|linkedin|hellowork|apec|gmail|mail|cv)\b.*)$",
    re.IGNORECASE,
)
_IN_VIA = ("via", "née ", "nee ", "interm", "indeed", "linkedin", "hellowork", "apec", "mail", "cv")  # one is in each
_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|['’.\-](?=[^\W\d_]))*\.?")
_INITIALS = re.compile(r"[^\W\d_]\.?|[^\W\d_]\.?-[^\W\d_]\.?|[^\W\d_]\.[^\W\d_]\.?")  # "J.", "J.-P."
_NAME_LINE = re.compile(r"^[^\W\d_][\w'’.\- ]{2,60}$")
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_SPACED = re.compile(r"(?<!\S)(?:[^\W\d_] ){2,}[^\W\d_](?!\S)")
_FILE_NOISE = re.compile(
    r"\.[a-z0-9]{2,5}$|\d+|\b(?:cv|lm|c v|l m|cover|letter|resume|curriculum|vitae|lettre|motivation|de|candidature"
    r"|du|pour|poste|charge|mission|chargee|pdf|version|final|def|fr|v|copie|copy|scan|mon|ma|et|dossier|complet)\b",
    re.IGNORECASE,
)
_LABELLED = re.compile(
    r"^\W*(?:nom(?: et pr[ée]noms?)?|candidate?|candidat\(e\)|pr[ée]nom et nom|pr[ée]nom nom|nom complet|name"
    r"|applicant)\s*:\s*(?P<name>.{3,60})$",
    re.IGNORECASE | re.MULTILINE,
)
_LABELLED_GIVEN = re.compile(r"^\W*pr[ée]noms?\s*:\s*(?P<name>\S.{1,40})$", re.IGNORECASE | re.MULTILINE)
_LABELLED_SURNAME = re.compile(r"^\W*nom(?: de famille)?\s*:\s*(?P<name>\S.{1,40})$", re.IGNORECASE | re.MULTILINE)
_PASSED_ON = re.compile(
    r"(?:candidature|cv|profil|dossier|application) (?:de|d['’]|from|of) ?(?P<title>m\.|mme|mlle|mr|monsieur|madame)? ?"
    r"(?P<before>[^\W\d_][^,.:;!?\n(]{3,60})"
    r"|(?P<after>[^\W\d_][^,.:;!?\n(]{3,50}?) "
    r"(?:a postul[ée]|vient de postuler|a r[ée]pondu|souhaite postuler|est int[ée]ress[ée]e?|has applied|applied)",
    re.IGNORECASE,
)
_INTRODUCES = re.compile(
    r"(?:je m['’ ]?appel+e|je me nomme|my name is|moi c['’ ]?est|je suis (?:mme|m\.|mlle|madame|monsieur)) +"
    r"(?P<name>[^,.;:!?\n]{3,60})",
    re.IGNORECASE,
)
_IN_INTRODUCTIONS = ("appel", "nomme", "my name", "moi c", "je suis m")  # one is in each
_DIGIT = re.compile(r"\d")
_DASH = re.compile(r"\s+[-–—|/•·]\s+")
_IN_BRACKETS = re.compile(r"[(\[].*?[)\]]")
_BETWEEN_LAST, _BETWEEN_FIRST = re.compile(r"\s+[-–|•·/]\s+|,\s|\t"), re.compile(r"\s{3,}|\t|\s+[-–|•·]\s+|,\s")
_SENTENCE_END = re.compile(r"[.!?,;:»\"]\s+")
_LAST_LINES, _FIRST_LINES = 8, 14
_LONGEST_NAME = 80  # characters
_FEWEST, _MOST = 2, 6  # words of a name, particles with them


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name in two parts, well cased."""

    given: str
    surname: str

    @property
    def full(self) -> str:
        """The name as it is written: "Prénom Nom"."""
        return f"{self.given} {self.surname}".strip()

    @property
    def folded(self) -> frozenset[str]:
        """Its words, to compare names whatever their order and accents."""
        return frozenset(fold(part) for part in re.split(r"[\s'’\-]+", self.full) if part)


@dataclass(frozen=True, slots=True)
class Traces:
    """Where a candidate's name and address may stand, best first within each field.

    `sender` is the person who writes (not a platform), `text` their own words with the signature, `papers`
    the texts of CVs and letters, `file_names` theirs. `no_names` are words that are no names. `not_these` tells
    an address that is never the candidate's (staff, platforms).
    """

    sender: Address | None
    text: str
    papers: tuple[str, ...]
    file_names: tuple[str, ...]
    no_names: Collection[str]
    excluded: Collection[str] = ()


def candidate_of(traces: Traces, address: str | None, *, papers_first: bool = False) -> Candidate | None:
    """The candidate, None when neither a name nor an address is found.

    With `papers_first` the sender is somebody else (a relative, an adviser), and the papers say who.
    """
    sender = traces.sender if not papers_first else None
    named = name_of(sender.name, sender.addr_spec, traces.no_names) if sender else None
    in_papers = [name for name in _in_papers(traces, address) if name is not None]
    if sender is not None and address is not None and (spelt := _from_address(address)) is not None:
        in_papers.append(spelt)
    written = None if papers_first else _in_text(traces.text, address, traces.no_names)
    best = _best(named, written, in_papers)
    if best is None and address is not None:
        best = _from_address(address)
    if best is None and sender is not None:
        best = _single(sender.name, traces.no_names)
    if best is None:
        return (
            None
            if address is None
            else Candidate(name=address, given="", surname=address.partition("@")[0], address=address)
        )
    return Candidate(name=best.full, given=best.given, surname=best.surname, address=address)


def _best(named: PersonName | None, written: PersonName | None, in_papers: list[PersonName]) -> PersonName | None:
    """The display name, unless signature and papers agree on somebody else; accents from where they are kept."""
    others = [name for name in (written, *in_papers) if name is not None]
    if named is None:
        if not others:
            return None
        fuller = next((name for name in others if _abbreviates(others[0], name)), None)
        return fuller or _with_accents(others[0], others[1:])
    if (
        written is not None
        and in_papers
        and not (named.folded & written.folded)
        and written.folded & in_papers[0].folded
    ):
        return _with_accents(written, in_papers)
    fuller = next((name for name in others if _abbreviates(named, name)), None)
    return fuller or _with_accents(named, others)


def _abbreviates(short: PersonName, full: PersonName) -> bool:
    """As "Nathan B" for Nathan Beaumont, "J. Dupont" for Jeanne Dupont, "J.-P. Roy" for Jean-Pierre Roy."""
    given, surname = fold(short.given).rstrip("."), fold(short.surname).rstrip(".")
    if _INITIALS.fullmatch(short.given):
        initials = [part[0] for part in re.split(r"[\s\-]+", fold(full.given)) if part]
        letters = re.findall(r"[a-z]", given)
        return fold(full.surname) == surname and initials[: len(letters)] == letters and len(full.given) > len(given)
    if len(full.full) <= len(short.full):
        return False
    if len(surname) == 1:
        return fold(full.given) == given and fold(full.surname).startswith(surname)
    return False


def _with_accents(name: PersonName, others: Iterable[PersonName]) -> PersonName:
    """The same name as somebody wrote it with accents or in the other order that is certain."""
    for other in others:
        if other.folded == name.folded and not other.full.isascii() and name.full.isascii():
            return other
    return name


def name_of(display: str, addr_spec: str = "", no_names: Collection[str] = ()) -> PersonName | None:
    """The name in a display name or a line, None if there are not at least two words that can be one."""
    display = _SPACED.sub(lambda found: found[0].replace(" ", ""), display.strip(" \t\"'«»*_"))
    display = _DASH.split(display, 1)[0]
    lower = display.lower()
    if any(word in lower for word in _IN_VIA):
        display = _VIA.sub("", display)
    display = display.strip(" \t\"'«»*,;-–|")
    if not display or "@" in display or len(display) > _LONGEST_NAME or _DIGIT.search(display):
        return None
    surname, comma, given = display.partition(",")
    if comma and _is_name(surname, no_names) and _is_name(given, no_names) and "," not in given:
        return PersonName(well_cased(given.strip()), well_cased(surname.strip()))
    words = [word for word in _IN_BRACKETS.sub(" ", display).split() if fold(word.rstrip(".")) not in _TITLES]
    if not _FEWEST <= len(words) <= _MOST or not all(map(_WORD.fullmatch, words)):
        return None
    folded = [fold(word) for word in words]
    if "et" in folded or "and" in folded:
        return None  # Two people.
    if any(word in no_names and word not in _PARTICLES for word in folded):
        return None
    return _split(words, addr_spec)


def _is_name(part: str, no_names: Collection[str]) -> bool:
    words = part.split()
    return 1 <= len(words) <= _MOST and all(_WORD.fullmatch(word) and fold(word) not in no_names for word in words)


def _split(words: list[str], addr_spec: str) -> PersonName | None:
    """Which words are the surname."""
    capitals = [len(word.rstrip(".")) > 1 and word.isupper() for word in words]
    if _INITIALS.fullmatch(words[0]):
        return PersonName(words[0].upper(), well_cased(" ".join(words[1:])))
    if any(capitals) and not all(capitals):
        return _by_capitals(words, capitals)
    if fold(words[0]) in _PARTICLES and fold(words[0]) not in GIVEN_NAMES:
        return _surname_first(words)
    last_given = _is_given(words[-1])
    first_given = _is_given(words[0])
    if last_given and not first_given:
        return _surname_first(words)
    if not first_given and not last_given and _address_begins_with(addr_spec, words[-1]):
        return _surname_first(words)
    if first_given and last_given and _reversed_in_address(addr_spec, words):
        return _surname_first(words)
    count = 1
    while (
        count < len(words) - 1
        and _is_given(words[count])
        and _is_given(words[0])
        and fold(words[count]) not in _PARTICLES
    ):
        count += 1
    return PersonName(well_cased(" ".join(words[:count])), well_cased(" ".join(words[count:])))


def _by_capitals(words: list[str], capitals: list[bool]) -> PersonName:
    first, last = capitals.index(True), len(words) - 1 - capitals[::-1].index(True)
    while first > 0 and fold(words[first - 1]) in _PARTICLES:
        first -= 1
    given = words[:first] + words[last + 1 :]
    surname = words[first : last + 1]
    if not given:
        given, surname = surname[:1], surname[1:]
    return PersonName(well_cased(" ".join(given)), well_cased(" ".join(surname)))


def _surname_first(words: list[str]) -> PersonName:
    count = 1
    while count < len(words) - 1 and (_is_given(words[-count - 1]) and fold(words[-count - 1]) not in _PARTICLES):
        count += 1
    return PersonName(well_cased(" ".join(words[-count:])), well_cased(" ".join(words[:-count])))


def _is_given(word: str) -> bool:
    folded = fold(word)
    return folded in GIVEN_NAMES or ("-" in folded and all(part in GIVEN_NAMES for part in folded.split("-")))


def _address_begins_with(addr_spec: str, word: str) -> bool:
    parts = re.split(r"[._-]", addr_spec.partition("@")[0])
    return len(parts) == 2 and parts[0] == fold(word).replace("-", "") and len(parts[0]) > 1  # noqa: PLR2004 given.surname


def _reversed_in_address(addr_spec: str, words: list[str]) -> bool:
    """Whether "jeanne.martin@" says that of "Martin Jeanne" the second is the given name."""
    parts = re.split(r"[._]", addr_spec.partition("@")[0])
    return len(parts) == 2 and len(words) == 2 and parts[0] == fold(words[1]) and parts[1] == fold(words[0])  # noqa: PLR2004


def well_cased(name: str) -> str:
    """Write "DE LA TOUR" as "de La Tour", "jean-pierre" as "Jean-Pierre"; what is in mixed case stays as it is."""
    words = name.replace("’", "'").split()
    if not words:
        return ""
    return " ".join(_cased(word, first=at == 0) for at, word in enumerate(words)).strip(" ,;")


def _cased(word: str, *, first: bool) -> str:
    folded = fold(word)
    if folded in _LOWER_PARTICLES and (word.isupper() or word.islower()):
        return word.lower() if not first or folded in ("de", "du", "des", "van", "von") else word.capitalize()
    if not (word.isupper() or word.islower()) or (len(word.rstrip(".")) == 1 and word.isupper()):
        return word
    lower = word.lower()
    parts = re.split(r"(['\-])", lower)
    cased = [part if part in "'-" else part[:1].upper() + part[1:] for part in parts]
    if len(parts) > 1 and parts[1] == "'" and parts[0] == "d":
        cased[0] = "d"
    return "".join(cased)


def _in_text(text: str, address: str | None, no_names: Collection[str]) -> PersonName | None:
    """A name in the last lines, as people sign, or where the text says "je m'appelle"."""
    lines = [line for line in text.split("\n") if line.strip()][-_LAST_LINES:]
    lower = text.replace("ſ", "s").replace("ı", "i").replace("İ", "i").lower()  # As IGNORECASE has it.
    found = _INTRODUCES.search(text) if any(words in lower for words in _IN_INTRODUCTIONS) else None
    if found is not None and (name := _introduced(found["name"].split(), address, no_names)) is not None:
        return name
    for line in reversed(lines):
        line = line.strip(" \t*_-–,.")  # noqa: PLW2901 as it is compared
        pieces = _BETWEEN_LAST.split(line)
        for piece in dict.fromkeys((*pieces[:2], _SENTENCE_END.split(line)[-1].strip(' .»"'))):
            name = name_of(piece, address or "", no_names) if _NAME_LINE.match(piece.strip()) else None
            if name is not None and _plausible(name, address):
                return name
    return None


_AFTER_A_NAME = frozenset(
    ["et", "j", "je", "and", "i", "age", "agee", "ans", "en", "un", "une", "le", "la", "au", "du", "actuellement"]
)


def _introduced(words: list[str], address: str | None, no_names: Collection[str]) -> PersonName | None:
    """The name that begins these words."""
    for count in (3, 2):
        some = words[:count]
        if len(some) == count and fold(some[-1]) not in _AFTER_A_NAME:
            name = name_of(" ".join(some), address or "", no_names)
            if name is not None and (count == 2 or all(word[:1].isupper() for word in some)):  # noqa: PLR2004 given name and surname
                return name
    return None


def _plausible(name: PersonName, address: str | None) -> bool:
    """Whether a line that could be a name is one: by a known first name, by capitals, or by the address."""
    words = name.full.split()
    if not all(word[:1].isupper() or fold(word) in _PARTICLES or word[:2] in ("d'", "l'") for word in words):
        return False
    if any(_is_given(word) for word in name.given.split()):
        return True
    local = fold((address or "").partition("@")[0])
    return any(len(part) > 2 and part in local for part in name.folded)  # noqa: PLR2004 initials prove nothing


def _in_papers(traces: Traces, address: str | None) -> Iterable[PersonName | None]:
    for text in traces.papers:
        yield _at_the_top(text, address, traces.no_names)
    for file_name in traces.file_names:
        yield _in_file_name(file_name, address, traces.no_names)
    for text in traces.papers:
        yield _in_text(text, address, traces.no_names)


def _at_the_top(text: str, address: str | None, no_names: Collection[str]) -> PersonName | None:
    lines = [line.strip(" \t*_•|") for line in text[:3000].split("\n") if line.strip()][:_FIRST_LINES]
    for at, line in enumerate(lines):
        for piece in _BETWEEN_FIRST.split(line)[:3]:
            name = name_of(piece, address or "", no_names)
            if name is not None and _plausible(name, address):
                return name
        if at + 1 < len(lines) and len(line.split()) == 1 and len(lines[at + 1].split()) == 1:
            name = name_of(f"{line} {lines[at + 1]}", address or "", no_names)
            if name is not None and _plausible(name, address):
                return name
    return None


def _in_file_name(file_name: str, address: str | None, no_names: Collection[str]) -> PersonName | None:
    plain = re.sub(r"[_\-.]+(?=\S)", " ", re.sub(r"\.[A-Za-z0-9]{2,5}$", "", file_name))
    plain = re.sub(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Ý])", " ", plain)
    kept = " ".join(word for word in _FILE_NOISE.sub(" ", plain).split() if fold(word) not in no_names)
    name = name_of(kept, address or "", no_names)
    return name if name is not None and (_plausible(name, address)) and len(kept.split()) <= 3 else None  # noqa: PLR2004 a title is longer


def words_of_file(file_name: str, no_names: Collection[str]) -> frozenset[str]:
    """The words of a file's name that could be a person's."""
    plain = re.sub(r"[_\-.]+(?=\S)", " ", re.sub(r"\.[A-Za-z0-9]{2,5}$", "", file_name))
    plain = re.sub(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Ý])", " ", plain)
    words = (fold(word) for word in _FILE_NOISE.sub(" ", plain).split())
    return frozenset(word for word in words if len(word) > 2 and word.isalpha() and word not in no_names)  # noqa: PLR2004


def _from_address(address: str) -> PersonName | None:
    """Read "jeanne.dupont75@…" as Jeanne Dupont, where one of the parts is a first name."""
    parts = [
        part for part in re.split(r"[._\-]+", re.sub(r"\d+", "", address.partition("@")[0].partition("+")[0])) if part
    ]
    if not 2 <= len(parts) <= 3 or not all(part.isalpha() and len(part) > 1 for part in parts):  # noqa: PLR2004
        return None
    if fold(parts[0]) in GIVEN_NAMES or fold(parts[-1]) not in GIVEN_NAMES:
        return PersonName(well_cased(parts[0]), well_cased(" ".join(parts[1:])))
    return PersonName(well_cased(parts[-1]), well_cased(" ".join(parts[:-1])))


def _single(display: str, no_names: Collection[str]) -> PersonName | None:
    word = display.strip(" \t\"'")
    if _WORD.fullmatch(word) and len(word) > 2 and fold(word) not in no_names:  # noqa: PLR2004 initials
        return PersonName(well_cased(word), "") if _is_given(word) else PersonName("", well_cased(word))
    return None


def name_on_paper(text: str, no_names: Collection[str]) -> PersonName | None:
    """The name at the head of a CV."""
    return _at_the_top(text, None, no_names)


def passed_on(text: str, no_names: Collection[str]) -> PersonName | None:
    """The person whom a job board or an adviser names: "Nom : …", "Candidature de …", "… a postulé"."""
    given, surname = _LABELLED_GIVEN.search(text), _LABELLED_SURNAME.search(text)
    if given is not None and surname is not None:
        return PersonName(well_cased(given["name"].strip(" .,*")), well_cased(surname["name"].strip(" .,*")))
    labelled = _LABELLED.search(text)
    if labelled is not None and (name := name_of(labelled["name"].strip(" .*"), "", no_names)) is not None:
        return name
    for found in _PASSED_ON.finditer(text[:5000]):
        words = (found["before"] or found["after"]).split()
        for count in (4, 3, 2):
            some = words[:count] if found["before"] else words[-count:]
            name = name_of(" ".join(some), "", no_names) if len(some) == count else None
            if (
                name is not None
                and (found["title"] is not None or _plausible(name, None))
                and all(word[:1].isupper() or fold(word) in _PARTICLES for word in some)
            ):
                return name
    return None


_CHILD = re.compile(
    r"\b(?i:(?:mon|ma|notre) (?:petite?[ -])?(?:beau-|belle-)?"
    r"(?:fils|fille|ni[eè]ce|neveu|fr[eè]re|s(?:œ|oe)ur|filleule?)),? "
    r"(?P<given>[A-ZÀ-Ý][\w'’-]+)(?: (?P<surname>[A-ZÀ-Ý][\w'’-]+))?"
)


def child_of(text: str, writer: PersonName | None) -> PersonName | None:
    """The child of whom a relative writes, "ma fille Lilou", by the writer's surname where none is said."""
    found = _CHILD.search(text)
    if found is None or not _is_given(found["given"]):
        return None
    surname = found["surname"] or (writer.surname if writer is not None else "")
    return PersonName(well_cased(found["given"]), well_cased(surname))


_AT_THE_END = re.compile(r"(?:\b(?:de|from|by|par)|[-–—|:])\s+(?P<name>[^\W\d_][\w'’\- ]{3,50})$", re.IGNORECASE)


def at_the_end(subject: str, no_names: Collection[str]) -> PersonName | None:
    """The name with which the subject of a site's mail ends: "Nouvelle candidature : Comptable – Jeanne Dupont"."""
    words = subject.strip(' .»"').split()
    for count in (4, 3, 2):
        found = _AT_THE_END.search(" ".join(words[-count - 1 :]))
        name = name_of(found["name"], "", no_names) if found is not None else None
        if name is not None and _plausible(name, None):
            return name
    return None


def addresses_written(text: str) -> tuple[str, ...]:
    """Every address that stands in a text, in order, each once."""
    words = (word for word in text[:30_000].split() if "@" in word)
    return tuple(dict.fromkeys(found[0].lower().strip(".'") for word in words for found in _EMAIL.finditer(word)))
