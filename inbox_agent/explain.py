"""The decision as JSON (design section 6) and in words, for messages that lie in files.

Opens no connection and changes nothing: the same reading and the same `decide` as the daemon, with an
empty history.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from inbox_agent.application import Evidence, Kind, Reading, Status, Timing
from inbox_agent.decide import DOUBT_FOLDER, Policy, decide
from inbox_agent.decision import Decision, History, ReplyMode, ReplyTemplate
from inbox_agent.listing import KIND_WORDS, TROUBLE_WORDS
from inbox_agent.offer import Staff
from inbox_agent.offers import load_offers
from inbox_agent.ports import Unread
from inbox_agent.shipped import shipped
from inbox_agent.silence import in_french
from inbox_agent.wording import moment_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from inbox_agent.application import Document
    from inbox_agent.ports import Readers


@dataclass(frozen=True, slots=True)
class Source:
    """A message in a file. `name` is what was given on the command line, with "#2" for the second of an mbox."""

    name: str
    octets: Callable[[], bytes]


def sources(arguments: Sequence[str], standard_input: Callable[[], bytes]) -> Iterator[Source]:
    """Every message named by `arguments`, in order.

    Raises FileNotFoundError for a name that leads nowhere, ValueError for one that is no file or holds no message.
    """
    for argument in arguments:
        if argument == "-":
            yield from _in_octets("-", standard_input())
            continue
        path = Path(argument)
        if path.is_dir():
            messages = sorted(item for item in path.rglob("*") if _is_message(item))
            if not messages:
                raise ValueError(f"there is no .eml or .mbox file in {argument}")
            for found in messages:
                yield from _in_file(str(found), found)
        elif path.exists() and not path.is_file():
            raise ValueError(f"{argument} is no regular file")
        elif path.exists():
            yield from _in_file(argument, path)
        else:
            raise FileNotFoundError(argument)


def _is_message(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.suffix.lower() in {".eml", ".mbox"}


def _in_file(name: str, path: Path) -> Iterator[Source]:
    with path.open("rb") as file:
        is_mbox = file.read(5) == b"From " and path.suffix.lower() != ".eml"
    if is_mbox:
        yield from _in_mbox(name, path)
    else:
        yield Source(name, path.read_bytes)


def _in_octets(name: str, octets: bytes) -> Iterator[Source]:
    if not octets.startswith(b"From "):
        yield Source(name, lambda: octets)
        return
    with tempfile.NamedTemporaryFile(suffix=".mbox") as file:
        file.write(octets)
        file.flush()
        yield from _in_mbox(name, Path(file.name))


def _in_mbox(name: str, path: Path) -> Iterator[Source]:
    import mailbox  # noqa: PLC0415 - plan.py imports this module in the service

    box = mailbox.mbox(path, create=False)
    try:
        for number, key in enumerate(box.keys(), start=1):
            octets = box.get_bytes(key)
            yield Source(f"{name}#{number}", lambda octets=octets: octets)  # type: ignore[misc]
    finally:
        box.close()


@dataclass(frozen=True, slots=True)
class Explained:
    """One message, read and decided."""

    source: str
    reading: Reading | None
    decision: Decision

    def as_json(self) -> str:
        """The object of design section 6 on one line."""
        return json.dumps(decision_json(self.source, self.decision), ensure_ascii=False)


def explained_files(arguments: Sequence[str], rules: Path | None, config: Path | None) -> Iterator[Explained]:
    """Read and decide the messages that `arguments` name. Raises FileNotFoundError, ConfigError."""
    from inbox_agent.adapters.readers import ChildReaders  # noqa: PLC0415 - adapters load when used

    folder, policy = _policy(rules, config)
    found = list(sources(arguments, sys.stdin.buffer.read))
    readers = ChildReaders(folder, policy.offers, policy.staff, workers=2)
    try:
        yield from explain(found, readers, policy)
    finally:
        readers.close()


@contextmanager
def explainer(rules: Path | None) -> Iterator[Callable[[Path], dict[str, Any]]]:
    """A function that gives the object of design section 6 for a file, with the children kept between calls."""
    from inbox_agent.adapters.readers import ChildReaders  # noqa: PLC0415 - adapters load when used

    folder, policy = _policy(rules, None)
    readers = ChildReaders(folder, policy.offers, policy.staff, workers=1)
    try:
        yield lambda path: next(
            decision_json(item.source, item.decision)
            for item in explain([Source(str(path), path.read_bytes)], readers, policy)
        )
    finally:
        readers.close()


def _policy(rules: Path | None, config: Path | None) -> tuple[Path, Policy]:
    if config is None:
        folder = rules or shipped("rules")
        offers = load_offers(folder)
        return folder, Policy(offers, Staff.of(offers))
    from inbox_agent.config import load_config  # noqa: PLC0415 - only with --config

    settings = load_config(config)
    folder = rules or settings.rules_folder
    offers = load_offers(folder)
    staff = Staff.of(offers, (*settings.staff, settings.organisation.address))
    policy = Policy(
        offers,
        staff,
        mode=ReplyMode(settings.replies.mode),
        target=settings.mailboxes[0].target,
        trusted_authserv_id=settings.replies.trusted_authserv_id,
        own_addresses=frozenset({settings.organisation.address}),
    )
    return folder, policy


_BATCH = 32  # messages read at once: enough to keep two children busy, little on disk


def explain(found: Iterable[Source], readers: Readers, policy: Policy) -> Iterator[Explained]:
    """Read and decide each message, in the order given."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="inbox-agent-")))
        batch: list[tuple[str, Path]] = []
        for number, source in enumerate(found):
            octets = source.octets()
            path = folder / f"{number}-{hashlib.sha256(octets).hexdigest()}.eml"
            path.write_bytes(octets)
            batch.append((source.name, path))
            if len(batch) == _BATCH:
                yield from _explain_batch(batch, readers, policy)
                batch = []
        yield from _explain_batch(batch, readers, policy)


def _explain_batch(batch: list[tuple[str, Path]], readers: Readers, policy: Policy) -> Iterator[Explained]:
    results = readers.read([path for _, path in batch])
    for (name, path), result in zip(batch, results, strict=True):
        match result:
            case Reading():
                yield Explained(name, result, _decided(result, policy))
            case Unread(why=why):
                sha256 = path.stem.partition("-")[2]
                yield Explained(name, None, undecidable(sha256, why, datetime.now(UTC), policy.target))
        path.unlink()


_NO_RECEIVED = "aucun champ Received dans le fichier : la date de l’expéditeur en tient lieu"
_NO_DATE = "aucune date dans le fichier : l’heure présente en tient lieu"


def _decided(reading: Reading, policy: Policy) -> Decision:
    """By the topmost Received date, failing that the sender's Date, failing that now, and said so (section 4)."""
    moment = reading.received or reading.date or datetime.now(UTC)
    decision = decide(reading, moment.astimezone(zone_of(reading.offer, policy)), History(), policy)
    if reading.received is not None:
        return decision
    said = Evidence("received_at", _NO_DATE if reading.date is None else _NO_RECEIVED, 0.0)
    return replace(decision, evidence=(*decision.evidence, said))


def zone_of(offer_id: str | None, policy: Policy) -> ZoneInfo:
    """The offer's time zone; without an offer that of the first one."""
    offer = policy.offer(offer_id) or (policy.offers[0] if policy.offers else None)
    return ZoneInfo(offer.timezone if offer else "Europe/Paris")


def undecidable(sha256: str, why: str, received_at: datetime, target: str) -> Decision:
    """The decision on a message that defeated its reader: a person must look."""
    return Decision(
        sha256=sha256,
        kind=Kind.DOUBT,
        offer=None,
        candidate=None,
        received_at=received_at,
        timing=None,
        documents=(),
        missing=(),
        status=Status.DOUBT,
        reply=None,
        no_reply_reason="in doubt: a person must look first",
        folder=f"{target}/{DOUBT_FOLDER}",
        evidence=(),
        filed=False,
        doubt=f"le message n’a pas pu être lu ({why})",
    )


def decision_json(source: str, decision: Decision) -> dict[str, Any]:
    """The object of design section 6: every key, always."""
    candidate, reply = decision.candidate, decision.reply
    return {
        # A file name may hold octets that are no UTF-8; JSON may not.
        "source": source.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        "kind": decision.kind.value,
        "offer": decision.offer,
        "candidate": None if candidate is None else {"name": candidate.name, "address": candidate.address},
        "received_at": decision.received_at.isoformat(timespec="seconds"),
        "timing": decision.timing.value if decision.timing else None,
        "documents": [
            {
                "name": document.name,
                "kind": document.kind.value,
                "where": document.where.value,
                "state": document.state.value,
                "pages": document.pages,
            }
            for document in decision.documents
        ],
        "missing": list(decision.missing),
        "status": decision.status.value if decision.status else None,
        "reply": None
        if reply is None
        else {"template": reply.template.value, "to": reply.to, "subject": reply.subject},
        "no_reply_reason": decision.no_reply_reason,
        "folder": decision.folder,
        "evidence": [
            {"test": item.test, "found": item.found, "weight": item.weight}
            for item in (*_doubt(decision), *decision.evidence)
        ],
    }


def _doubt(decision: Decision) -> Iterator[Evidence]:
    if decision.doubt:
        yield Evidence("doubt", decision.doubt, 0.0)


_KIND_WORDS = {
    Kind.APPLICATION: "une candidature",
    Kind.FOLLOW_UP: "la suite d’une candidature",
    Kind.ENQUIRY: "une question, à laquelle une personne répond",
    Kind.WITHDRAWAL: "le retrait d’une candidature",
    Kind.AUTOMATIC: "un message automatique",
    Kind.BULK: "un envoi en nombre",
    Kind.INTERNAL: "un message entre membres de l’équipe",
    Kind.OTHER: "un autre message, pas une candidature",
    Kind.DOUBT: "à vérifier par une personne",
}
_TIMING_WORDS = {
    Timing.ON_TIME: "dans les délais",
    Timing.BOUNDARY: "le jour même de la date limite",
    Timing.LATE: "hors délai",
}
_REPLY_WORDS = {
    ReplyTemplate.COMPLETE: "accusé de réception, dossier complet",
    ReplyTemplate.INCOMPLETE: "demande de ce qui manque",
    ReplyTemplate.LATE: "reçue après la date limite",
    ReplyTemplate.COMPLETED: "dossier complété",
    ReplyTemplate.STILL_INCOMPLETE: "demande de ce qui manque encore",
    ReplyTemplate.WITHDRAWN: "retrait noté",
}
_MODE_WORDS = {ReplyMode.DRAFT: "brouillon", ReplyMode.SEND: "envoyée", ReplyMode.OFF: "désactivée"}
_SHOWN_EVIDENCE = 6  # findings shown, the weightiest first: ten seconds of reading


def in_words(explained: Explained) -> str:
    """The verdict as a secretary reads it in ten seconds: what, why, what would happen. French."""
    decision = explained.decision
    lines = [explained.source, f"  C’est      {_KIND_WORDS[decision.kind]}"]
    lines += [f"  Parce que  {words}" for words in _reasons(decision)]
    if decision.offer:
        lines.append(f"  Offre      {decision.offer}")
    if decision.candidate:
        address = decision.candidate.address or "adresse incertaine"
        lines.append(f"  Personne   {decision.candidate.name or 'sans nom'} <{address}>")
    if decision.timing:
        lines.append(f"  Reçue      le {moment_words(decision.received_at)}, {_TIMING_WORDS[decision.timing]}")
    lines += [f"  Pièce      {_piece_words(document)}" for document in decision.documents]
    if decision.missing:
        lines.append(f"  Manque     {', '.join(KIND_WORDS[kind] for kind in decision.missing)}")
    lines.append(f"  Réponse    {_reply_words(decision)}")
    lines.append(f"  Va dans    {decision.folder or 'reste où il est'}")
    lines += [f"  Note       {note}" for note in decision.notes]
    return "\n".join(lines)


def _reasons(decision: Decision) -> Iterator[str]:
    if decision.doubt:
        yield decision.doubt
    weighty = sorted((item for item in decision.evidence if item.weight), key=lambda item: -abs(item.weight))
    for item in weighty[:_SHOWN_EVIDENCE]:
        yield f"{item.weight:+.1f}  {item.found}"


def _piece_words(document: Document) -> str:
    trouble = TROUBLE_WORDS.get(document.state)
    pages = f", {document.pages} p." if document.pages else ""
    return f"{KIND_WORDS[document.kind]} : {document.name}{pages}{f' ({trouble})' if trouble else ''}"


def _reply_words(decision: Decision) -> str:
    if decision.reply is None:
        return f"aucune : {in_french(decision.no_reply_reason or '')}"
    reply = decision.reply
    return f"{_REPLY_WORDS[reply.template]}, à {reply.to} ({_MODE_WORDS[reply.mode]})"
