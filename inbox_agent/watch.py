"""What staff did with mail in the folders since the last look: the cheap way to see it, and what each act says.

Acts: asks STATUS of each folder of our tree, looks into those that changed, and has corrections.py carry out
what that means. A message is known again by its SHA-256, so that nothing is moved to and fro.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from inbox_agent.application import Kind
from inbox_agent.corrections import Saying, Word, carry_out, meaning_of
from inbox_agent.decision import OPEN, Act, ActKind
from inbox_agent.errors import AgentError, ImplausibleError, TryAgainError
from inbox_agent.failpoint import reach
from inbox_agent.fetch import batches, fetch
from inbox_agent.journal import Event, moment, text
from inbox_agent.ports import FolderState
from inbox_agent.schema import acts, applications, events, folders, messages, threads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inbox_agent.corrections import Meaning
    from inbox_agent.execute import Account
    from inbox_agent.installation import Installation
    from inbox_agent.journal import Arrived, Write
    from inbox_agent.ports import Listed

_log = logging.getLogger(__name__)

Seen = dict[str, FolderState] | tuple[str, ...]

_BY_HAND = "déplacement dans la messagerie"
_FILED = (Kind.APPLICATION, Kind.FOLLOW_UP, Kind.WITHDRAWAL)
_AT_ONCE = 500  # hashes in one query
# What a person takes out of our folders by hand in an hour: so many, or a tenth of what is there.
_A_FEW, _SHARE = 5, 10
_HOUR = timedelta(hours=1)
# Facts of a mailbox, with when a person said it: they did take out so many; or, put them back where they were.
BELIEVED, PUT_BACK = "believed", "put_back"
_SAY_SO = "Nothing was changed. If people did that on purpose, say: inbox-agent corrections --accept"


@dataclass(slots=True)
class _Look:
    """One look at one mailbox. `gone` are rows that left their place, by id; `put_off` when one has to wait."""

    installation: Installation
    account: Account
    name: str
    gone: dict[int, sa.Row[Any]] = field(default_factory=dict)
    put_off: bool = False

    @property
    def target(self) -> str:
        """The folder above all of ours."""
        return self.installation.section(self.name).target

    def meaning(self, folder: str) -> Meaning | None:
        """What lying there says."""
        return meaning_of(folder, self.target, tuple(offer.id for offer in self.installation.offers))


def begin(installation: Installation, account: Account, name: str) -> None:
    """The first time: what lies in the folders already is not staff's word of today."""
    if installation.journal.fact(f"looked:{name}") is None:
        look = _Look(installation, account, name)
        _save(look, _tree(look))
        account.mailbox.select(account.folder)


def unmoved(installation: Installation, account: Account, name: str) -> Seen | None:
    """Our folders, if they are as they were at the last look, so that another one would find nothing."""
    look = _Look(installation, account, name)
    seen = account.mailbox.glance(look.target)  # First: what changes from then on shows in the next glance.
    tree = _tree(look)
    if _changed(look, tree):
        return None
    return tree if seen is None else seen


def still(account: Account, target: str, before: Seen) -> bool:
    """The same without the store: whether our folders are as they were before."""
    if isinstance(before, dict):
        return _states(account, target) == before
    return account.mailbox.glance(target) == before


def look_around(installation: Installation, account: Account, name: str) -> None:
    """See what staff moved between folders, or out of them, and carry it out."""
    look = _Look(installation, account, name)
    reach("watch.before")
    try:
        tree = _tree(look)
        changed = _changed(look, tree)
        if changed:
            arrivals = [found for folder in changed for found in _differences(look, folder, tree.get(folder))]
            for folder, uidvalidity, arrived in arrivals:
                _arrived(look, folder, uidvalidity, arrived)
            gone = list(look.gone.values())
            _check_gone(look, gone, set(tree))
            for row in gone:
                _gone(look, row, set(tree))
            if not look.put_off:
                _save(look, tree)
        if _said(look, PUT_BACK):
            installation.journal.note_fact(f"{PUT_BACK}:{name}", "")
    finally:
        account.mailbox.select(account.folder)


def returned(
    installation: Installation, account: Account, name: str, uidvalidity: int, arrived: Sequence[Arrived]
) -> tuple[Arrived, ...]:
    """Of what came where mail is read, what is new: what staff moved back there is written down and left alone."""
    known = _rows_of(installation, name, [message.sha256 for message in arrived])
    if not known:
        return tuple(arrived)
    look = _Look(installation, account, name)
    put_back = _said(look, PUT_BACK)
    new = []
    taken: set[int] = set()
    for message in arrived:
        row = next((row for row in known.get(message.sha256, ()) if row.id not in taken and _left(look, row)), None)
        if row is None:
            new.append(message)
            continue
        taken.add(row.id)
        if put_back and _is_filed(row):
            _put_back(look, row, uidvalidity, message.uid)
        else:
            _came_back(look, row, uidvalidity, message.uid)
    account.mailbox.select(account.folder)
    return tuple(new)


def _came_back(look: _Look, row: sa.Row[Any], uidvalidity: int, uid: int) -> None:
    word = Word(Saying.NO, _BY_HAND, f"hand{uidvalidity}.{uid}", folder=look.account.folder)
    if row.kind == Kind.DOUBT or row.application_id is not None or row.state == "quarantined":
        carry_out(look.installation, look.account, row.id, word)
    with look.installation.journal.transaction("came_back") as write:
        nowhere = {"folder": None, "folder_uidvalidity": None, "folder_uid": None}
        write.connection.execute(
            sa.update(messages)
            .where(messages.c.id == row.id)
            .values(uidvalidity=uidvalidity, uid=uid, why=None, **nowhere)
        )
        _touch(write, row)
    _log.info("moved-back message=%d", row.id)


def _put_back(look: _Look, row: sa.Row[Any], uidvalidity: int, uid: int) -> None:
    """A backup brought it back, a person says: it goes again to the folder where it was."""
    move = Act(ActKind.MOVE, f"move:{row.id}:back{uidvalidity}.{uid}", {"folder": row.folder})
    with look.installation.journal.transaction("put_back") as write:
        here = {"uidvalidity": uidvalidity, "uid": uid, "state": "decided"}
        nowhere = {"folder": None, "folder_uidvalidity": None, "folder_uid": None}
        write.connection.execute(sa.update(messages).where(messages.c.id == row.id).values(**here, **nowhere))
        write.plan([move], row.id, row.application_id)
        _touch(write, row)
    _log.info("put-back message=%d", row.id)


def _left(look: _Look, row: sa.Row[Any]) -> bool:
    """Whether a message is certainly no longer where we know it to be."""
    if row.state in ("received", "decided") or _moving(look, row.id):
        return False
    mailbox = look.account.mailbox
    folder, validity, uid = (
        (look.account.folder, row.uidvalidity, row.uid)
        if row.folder is None
        else (row.folder, row.folder_uidvalidity, row.folder_uid)
    )
    try:
        state = mailbox.select(str(folder))
    except TryAgainError:
        raise
    except AgentError:
        return mailbox.state(str(folder)) is None  # A folder that we may not open now may hold it.
    if state.uidvalidity != validity:
        return row.folder is not None and row.id not in {found.id for found in _renumbered(look, str(folder), state)}
    return not mailbox.list_uids(uid, uid)


# --- more than people move ------------------------------------------------------------------------------


def check_returning(installation: Installation, account: Account, name: str, uids: Sequence[int]) -> None:
    """Before new mail is touched: have more filed messages come back than a person moves? Raises ImplausibleError.

    A backup that is restored, or a mailbox that moves to another server, would otherwise be taken for staff who say of
    each that it is no application.
    """
    look = _Look(installation, account, name)
    if not uids or (len(uids) <= _A_FEW and not _by_hand_lately(look)):
        return
    if len(uids) <= (limit := _plausible(look, len(uids))) or _said(look, BELIEVED) or _said(look, PUT_BACK):
        return
    if not (known := _filed_by_size(look)):
        return
    largest = installation.section(name).max_message_mb * 2**20
    alike = [listed for listed in _listed(account, uids) if listed.size in known and listed.size <= largest]
    if len(alike) <= limit:
        return
    import hashlib  # noqa: PLC0415 - seldom needed

    back: set[int] = set()
    for listed in alike:
        account.mailbox.select(account.folder)
        digests = [hashlib.sha256(octets).hexdigest() for _, octets in account.mailbox.fetch([listed.uid])]
        same = (row for row in known[listed.size] if row.sha256 in digests and row.id not in back)
        back |= {row.id for row in list(same)[:1] if _left(look, row)}
        if len(back) > limit:
            raise ImplausibleError(
                f"more filed messages of {name} came back to {account.folder} than people move within an hour "
                f"({len(alike)} look like it): was a backup restored, or the mailbox moved to another server? "
                f"{_SAY_SO}; if they are to go back to their folders: inbox-agent corrections --put-back. "
                "The agent goes on by itself when they are no longer there."
            )
    account.mailbox.select(account.folder)


def _check_gone(look: _Look, gone: Sequence[sa.Row[Any]], tree: set[str]) -> None:
    """The same of what left our folders for others: a tree that was renamed says nothing of anybody."""
    filed = [row for row in gone if _is_filed(row)]
    limit = _plausible(look, len(filed))
    if len(filed) <= limit or _said(look, BELIEVED):
        return
    elsewhere = 0
    for row in filed:
        elsewhere += _is_elsewhere(look, row, tree)
        if elsewhere > limit:
            raise ImplausibleError(
                f"more filed messages of {look.name} left {look.target} for other folders than people move within an "
                f"hour ({len(filed)} are gone from there): was the folder renamed, or the mailbox moved? "
                f"{_SAY_SO}. The agent goes on by itself when they are back."
            )


def _by_hand_lately(look: _Look) -> bool:
    """Cheap, whatever the store holds: most polls with a new message end here."""
    since = text(look.installation.clock.now() - _HOUR)
    with look.installation.journal.snapshot() as connection:
        return connection.execute(_CORRECTED, {"since": since, "who": _BY_HAND}).one_or_none() is not None


_CORRECTED = (
    sa.select(events.c.id).where(events.c.at > sa.bindparam("since"), events.c.who == sa.bindparam("who")).limit(1)
)


def _plausible(look: _Look, number: int) -> int:
    """How many more filed messages people may take out within this hour; exact if it is less than `number`.

    So that no more rows are counted than tell, however many there are.
    """
    since = text(look.installation.clock.now() - _HOUR)
    aside = (
        sa.select(messages.c.told)
        .join(applications, applications.c.id == messages.c.id)
        .where(messages.c.mailbox == look.name, applications.c.set_aside_at > since)
    )
    with look.installation.journal.snapshot() as connection:
        by_hand = len([told for told in connection.scalars(aside) if told and told.get("who") == _BY_HAND])
        there = (
            sa.select(messages.c.id)
            .where(messages.c.mailbox == look.name, messages.c.folder.is_not(None), messages.c.kind.in_(_FILED))
            .limit((number + by_hand) * _SHARE)
        )
        filed = connection.scalar(sa.select(sa.func.count()).select_from(there.subquery())) or 0
        return max(0, max(_A_FEW, filed // _SHARE) - by_hand)


def _filed_by_size(look: _Look) -> dict[int, list[sa.Row[Any]]]:
    """What is filed and lies in our folders, by size: what a server tells of a message without giving it."""
    query = sa.select(*_WITHOUT_JSON).where(
        messages.c.mailbox == look.name, messages.c.folder.is_not(None), messages.c.kind.in_(_FILED)
    )
    found: dict[int, list[sa.Row[Any]]] = {}
    with look.installation.journal.snapshot() as connection:
        for row in connection.execute(query):
            found.setdefault(row.size, []).append(row)
    return found


def _listed(account: Account, uids: Sequence[int]) -> Iterator[Listed]:
    for batch in batches(account.mailbox, uids):
        yield from batch


def _is_filed(row: sa.Row[Any]) -> bool:
    return row.kind in _FILED and row.application_id is not None


def _said(look: _Look, fact: str) -> bool:
    """Whether a person said so within the hour."""
    at = look.installation.journal.fact(f"{fact}:{look.name}")
    return at is not None and at != "" and look.installation.clock.now() - moment(at) < _HOUR


def say(installation: Installation, fact: str) -> str:
    """A person's word on what `check_returning` and `look_around` stopped for."""
    now = text(installation.clock.now())
    with installation.journal.transaction("said") as write:
        for section in installation.config.mailboxes:
            write.note_fact(f"{fact}:{section.name}", now)
    if fact == PUT_BACK:
        return "At the next poll, filed messages that came back go to their folders again."
    return "For an hour, what people take out of the folders is believed, however much it is."


# --- what is there --------------------------------------------------------------------------------------


def _tree(look: _Look) -> dict[str, FolderState]:
    return _states(look.account, look.target)


def _states(account: Account, target: str) -> dict[str, FolderState]:
    mailbox = account.mailbox
    names = [name for name in mailbox.folders() if name == target or name.startswith(f"{target}/")]
    found = {name: mailbox.state(name) for name in names}
    return {name: state for name, state in found.items() if state is not None}


def _changed(look: _Look, tree: dict[str, FolderState]) -> list[str]:
    """Folders that are not as they were at the last look, those that are gone included."""
    with look.installation.journal.snapshot() as connection:
        rows = connection.execute(_FOLDERS, {"mailbox": look.name})
        before = {row.name: (row.uidvalidity, row.uidnext, row.held) for row in rows}
    now = {name: (state.uidvalidity, state.uidnext or 0, state.exists) for name, state in tree.items()}
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


_FOLDERS = sa.select(folders).where(folders.c.mailbox == sa.bindparam("mailbox"))


def _save(look: _Look, tree: dict[str, FolderState]) -> None:
    with look.installation.journal.transaction("looked") as write:
        write.connection.execute(sa.delete(folders).where(folders.c.mailbox == look.name))
        for name, state in tree.items():
            write.connection.execute(
                sa.insert(folders).values(
                    mailbox=look.name,
                    name=name,
                    uidvalidity=state.uidvalidity,
                    uidnext=state.uidnext or 0,
                    held=state.exists,
                )
            )
        write.note_fact(f"looked:{look.name}", text(look.installation.clock.now()))


def _differences(look: _Look, folder: str, state: FolderState | None) -> list[tuple[str, int, Arrived]]:
    """What came into a folder by other hands than ours; what left it goes to `look.gone`."""
    rows = _rows_in(look, folder)
    if state is None:
        look.gone |= {row.id: row for row in rows}
        return []
    mailbox = look.account.mailbox
    state = mailbox.select(folder)
    if any(row.folder_uidvalidity != state.uidvalidity for row in rows):
        kept = _renumbered(look, folder, state)
        mailbox.select(folder)
        here = {row.id for row in kept}
        look.gone |= {row.id: row for row in rows if row.id not in here}
        rows = kept
    present = set(mailbox.list_uids(1))
    look.gone |= {row.id: row for row in rows if row.folder_uid not in present}
    fresh = sorted(present - {row.folder_uid for row in rows})
    fresh = [uid for uid in fresh if uid >= _floor(look, folder, state)]
    spool, largest = look.installation.spool(look.name), look.installation.section(look.name).max_message_mb * 2**20
    return [
        (folder, state.uidvalidity, arrived)
        for batch in batches(mailbox, fresh)
        for arrived in fetch(mailbox, batch, spool, largest)
    ]


def _floor(look: _Look, folder: str, state: FolderState) -> int:
    """The UID from which on we have not looked yet."""
    query = sa.select(folders).where(folders.c.mailbox == look.name, folders.c.name == folder)
    with look.installation.journal.snapshot() as connection:
        before = connection.execute(query).one_or_none()
    return before.uidnext if before is not None and before.uidvalidity == state.uidvalidity else 1


def _renumbered(look: _Look, folder: str, state: FolderState) -> list[sa.Row[Any]]:
    """The folder has a new UIDVALIDITY: our messages in it are found again by their octets. Those that are there."""
    mailbox = look.account.mailbox
    mailbox.select(folder)
    listed = list(mailbox.listed(mailbox.list_uids(1)))
    places: dict[int, int] = {}
    import hashlib  # noqa: PLC0415 - seldom needed

    for row in _rows_in(look, folder):
        alike = [item for item in listed if item.size == row.size or text(item.internaldate) == row.internaldate]
        for item in alike:
            octets = next((octets for _, octets in mailbox.fetch([item.uid])), b"")
            if hashlib.sha256(octets).hexdigest() == row.sha256:
                listed.remove(item)
                places[row.id] = item.uid
                break
    with look.installation.journal.transaction("renumbered") as write:
        for message_id, uid in places.items():
            where = {"folder_uidvalidity": state.uidvalidity, "folder_uid": uid}
            write.connection.execute(sa.update(messages).where(messages.c.id == message_id).values(**where))
            write.replace_source(message_id, state.uidvalidity, uid)
        for row in _rows_in(look, folder):
            _touch(write, row)
    _log.warning("renumbered-folder mailbox=%s found=%d", look.name, len(places))
    return [row for row in _rows_in(look, folder) if row.id in places]


# --- what it says ---------------------------------------------------------------------------------------


def _arrived(look: _Look, folder: str, uidvalidity: int, arrived: Arrived) -> None:
    rows = _rows_of(look.installation, look.name, [arrived.sha256]).get(arrived.sha256, [])
    moved = [row for row in rows if row.id in look.gone] or [row for row in rows if row.folder is None]
    if not moved:
        if not rows and not arrived.partial:
            _brought_in(look, folder, uidvalidity, arrived)
        return  # A copy of what stays where it was says nothing.
    row = moved[0]
    if row.state in ("received", "decided") or _moving(look, row.id):
        look.gone.pop(row.id, None)
        look.put_off = True
        return
    if _carried_out(look, row, folder, f"hand{uidvalidity}.{arrived.uid}"):
        look.gone.pop(row.id, None)
        place = {"folder": folder, "folder_uidvalidity": uidvalidity, "folder_uid": arrived.uid}
        with look.installation.journal.transaction("placed") as write:
            write.connection.execute(sa.update(messages).where(messages.c.id == row.id).values(**place))
            _touch(write, row)
        _log.info("moved-by-staff message=%d", row.id)
    else:
        look.gone.pop(row.id, None)
        look.put_off = True


def _carried_out(look: _Look, row: sa.Row[Any], folder: str, occasion: str) -> bool:
    """Whether it could be done now."""
    meaning = look.meaning(folder)
    if meaning is None:
        _tell_unknown(look, folder, row)
        return True
    saying = Saying.DOUBT if meaning.doubt else Saying.PLACED
    word = Word(saying, _BY_HAND, occasion, offer=meaning.offer, folder=folder, meaning=meaning)
    return carry_out(look.installation, look.account, row.id, word) is not None


def _tell_unknown(look: _Look, folder: str, row: sa.Row[Any] | None) -> None:
    said = f"message placé dans « {folder} », qui n’est le dossier d’aucune offre connue : rien n’a changé"
    with look.installation.journal.transaction("unknown_folder") as write:
        write.note(Event("correction", said, row.application_id if row else None, row.id if row else None, _BY_HAND))


def _brought_in(look: _Look, folder: str, uidvalidity: int, arrived: Arrived) -> None:
    """A message that we never had in hand, put into our tree: staff say what it is."""
    meaning = look.meaning(folder)
    if meaning is None:
        _tell_unknown(look, folder, None)
        return
    told = {
        "saying": "application",
        "offer": meaning.offer,
        "folder": folder,
        "status": meaning.status,
        "timing": meaning.timing,
        "answer": False,
        "occasion": f"hand{uidvalidity}.{arrived.uid}",
        "who": _BY_HAND,
        "before": None,
    }
    doubt = {"state": "done", "kind": Kind.DOUBT, "why": "à vérifier, à votre demande"}
    with look.installation.journal.transaction("brought_in") as write:
        lowest = write.connection.scalar(
            sa.select(sa.func.min(messages.c.uid)).where(messages.c.mailbox == look.name, messages.c.uidvalidity == 0)
        )
        write.connection.execute(
            sa.insert(messages).values(
                sha256=arrived.sha256,
                size=arrived.size,
                mailbox=look.name,
                # It has no place where mail is read: a number below those that servers give.
                uidvalidity=0,
                uid=min(lowest or 0, 0) - 1,
                internaldate=text(arrived.internaldate),
                folder=folder,
                folder_uidvalidity=uidvalidity,
                folder_uid=arrived.uid,
                **(doubt if meaning.doubt else {"state": "received", "told": told}),
            )
        )


def _gone(look: _Look, row: sa.Row[Any], tree: set[str]) -> None:
    """A message left our tree: in doubt it is none; filed, it is none if it lies elsewhere, else it was deleted."""
    if row.state in ("received", "decided") or _moving(look, row.id):
        look.put_off = True
        return
    nowhere = {"folder": None, "folder_uidvalidity": None, "folder_uid": None}
    occasion = f"gone{row.folder_uidvalidity}.{row.folder_uid}"
    if row.kind in _FILED and not _is_elsewhere(look, row, tree):
        said = "le message a été supprimé de la messagerie ; le dossier et ses fichiers restent"
        with look.installation.journal.transaction("deleted") as write:
            write.connection.execute(sa.update(messages).where(messages.c.id == row.id).values(**nowhere))
            _touch(write, row)
            write.note(Event("correction", said, row.application_id, row.id, _BY_HAND))
        return
    word = Word(Saying.NO, _BY_HAND, occasion, folder=look.account.folder)
    concerned = row.kind in (*_FILED, Kind.DOUBT) or row.state == "quarantined"
    if concerned and carry_out(look.installation, look.account, row.id, word) is None:
        look.put_off = True
        return
    with look.installation.journal.transaction("gone") as write:
        write.connection.execute(sa.update(messages).where(messages.c.id == row.id).values(**nowhere))
        _touch(write, row)


def _is_elsewhere(look: _Look, row: sa.Row[Any], tree: set[str]) -> bool:
    """Whether a message of that application lies outside our tree, found by the Message-IDs of its thread."""
    account = look.account
    ours = sa.select(acts.c.mail_id).where(acts.c.mail_id.is_not(None))
    query = sa.select(threads.c.message_id).where(
        threads.c.application_id == row.application_id, threads.c.message_id.not_in(ours)
    )
    with look.installation.journal.snapshot() as connection:
        identifiers = list(connection.scalars(query))
    outside = [name for name in account.mailbox.folders() if name not in {*tree, account.drafts, account.sent}]
    return any(account.mailbox.find(folder, identifier) for folder in outside for identifier in identifiers)


def _touch(write: Write, row: sa.Row[Any]) -> None:
    """Where its message is, is in candidature.json too."""
    if row.application_id is not None:
        write.touch(row.application_id)


# --- the journal ----------------------------------------------------------------------------------------


def _rows_in(look: _Look, folder: str) -> list[sa.Row[Any]]:
    """What we know to lie in a folder; of tens of thousands the decisions would take seconds to decode."""
    query = sa.select(*_WITHOUT_JSON).where(
        messages.c.mailbox == look.name, messages.c.folder == folder, messages.c.folder_uid.is_not(None)
    )
    with look.installation.journal.snapshot() as connection:
        return list(connection.execute(query.order_by(messages.c.id)))


_WITHOUT_JSON = tuple(column for column in messages.c if not isinstance(column.type, sa.JSON))


def _rows_of(installation: Installation, name: str, hashes: Sequence[str]) -> dict[str, list[sa.Row[Any]]]:
    """Messages of a mailbox that we know by their octets."""
    found: dict[str, list[sa.Row[Any]]] = {}
    with installation.journal.snapshot() as connection:
        for start in range(0, len(hashes), _AT_ONCE):
            some = hashes[start : start + _AT_ONCE]
            # Not by the index of mailboxes, which SQLite would walk from end to end.
            query = sa.select(messages).where(messages.c.mailbox.concat("") == name, messages.c.sha256.in_(some))
            for row in connection.execute(query.order_by(messages.c.id)):
                found.setdefault(row.sha256, []).append(row)
    return found


def _moving(look: _Look, message_id: int) -> bool:
    query = sa.select(acts.c.id).where(
        acts.c.message_id == message_id, acts.c.kind == ActKind.MOVE, acts.c.state.in_(OPEN)
    )
    with look.installation.journal.snapshot() as connection:
        return connection.execute(query.limit(1)).one_or_none() is not None
