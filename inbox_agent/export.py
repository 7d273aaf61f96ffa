"""Everything that is kept of a person as one ZIP with a summary that they can read (RGPD, articles 15 and 20)."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from inbox_agent.decision import ActState
from inbox_agent.erase import kept_of
from inbox_agent.journal import moment
from inbox_agent.listing import KIND_WORDS, STATE_WORDS, TROUBLE_WORDS
from inbox_agent.publish import record_of
from inbox_agent.retention import purge_day
from inbox_agent.schema import applications, documents
from inbox_agent.survey import application_rows, kept_applications
from inbox_agent.wording import day_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from inbox_agent.erase import Kept
    from inbox_agent.installation import Installation

_REPLY_WORDS = {
    ActState.PENDING: "en attente",
    ActState.SENDING: "en cours d’envoi",
    ActState.IN_DOUBT: "peut-être envoyée",
    ActState.DONE: "envoyée ou préparée",
    ActState.CANCELLED: "annulée",
    ActState.FAILED: "refusée",
}


def export(installation: Installation, address: str, target: Path) -> int | None:
    """Write the ZIP, readable by its owner alone; how many applications it holds, None if nothing is kept."""
    with installation.journal.snapshot() as connection:
        kept = kept_of(connection, address)
        if kept.empty:
            return None
        records = {row.id: record_of(connection, row) for row in kept.applications}
        summary = "\r\n".join(_summary(installation, connection, address, kept)) + "\r\n"
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("lisez-moi.txt", "\N{BYTE ORDER MARK}" + summary)
        for row in kept.applications:
            for path in installation.files.list(PurePosixPath(row.path)):
                octets = installation.files.read(path)
                if octets is not None and path.name != "candidature.json":
                    archive.writestr(f"candidature-{row.id}/{path.relative_to(row.path)}", octets)
            record = json.dumps(records[row.id], ensure_ascii=False, indent=1)
            archive.writestr(f"candidature-{row.id}/donnees.json", record)
        for act in kept.mails:
            archive.writestr(f"candidature-{act.application_id}/reponses/{act.id}.eml", act.octets)
    return len(kept.applications)


def _summary(installation: Installation, connection: sa.Connection, address: str, kept: Kept) -> Iterator[str]:
    organisation = installation.config.organisation
    today = installation.now().date()
    yield f"Données conservées par {organisation.name} au sujet de {address}"
    yield f"Établi le {day_words(today)}."
    yield ""
    days = {row.id: purge_day(row, installation) for row in kept_applications(connection)}
    numbers = [row.id for row in kept.applications]
    titles = {offer.id: offer.title for offer in installation.offers}
    for row in sorted(kept.applications, key=lambda item: item.id):
        yield from _of_application(connection, row, titles, installation.zone, kept)
        yield f"  Suppression prévue : le {day_words(days[row.id])}."
        yield ""
    others = [row for row in kept.messages if row.application_id not in numbers]
    if others:
        yield f"Messages en attente d’une vérification par une personne : {len(others)}."
        yield ""
    yield "Responsable du traitement : " + (organisation.controller or organisation.name) + "."
    yield "Finalité : étudier les candidatures reçues par messagerie."
    yield "Vos droits (accès, rectification, effacement, opposition) s’exercent auprès de "
    yield (organisation.privacy_contact or organisation.address) + ". Réclamation possible auprès de la CNIL (cnil.fr)."


def _of_application(
    connection: sa.Connection, row: sa.Row[Any], titles: dict[str, str], zone: ZoneInfo, kept: Kept
) -> Iterator[str]:
    received = moment(row.received_at).astimezone(zone)
    shown = application_rows(connection, zone, applications.c.id == row.id)
    state = STATE_WORDS[shown[0].state] if shown else "écartée"
    yield f"Candidature n° {row.id} : {titles.get(row.offer or '', row.offer or 'candidature spontanée')}"
    yield f"  Reçue le {day_words(received.date())} à {received:%H h %M}, de {row.name or 'sans nom'}."
    yield f"  État : {state}."
    pieces = connection.execute(
        sa.select(documents.c.stored_as, documents.c.document)
        .where(documents.c.application_id == row.id)
        .order_by(documents.c.id)
    )
    for piece in pieces:
        trouble = TROUBLE_WORDS.get(piece.document["state"])
        kind = KIND_WORDS.get(piece.document["kind"], piece.document["kind"])
        yield f"  Pièce : {piece.stored_as} ({kind}{f', {trouble}' if trouble else ''})"
    for act in kept.mails:
        if act.application_id == row.id:
            when = moment(act.done_at or act.created_at).astimezone(zone)
            said = _REPLY_WORDS[act.state]
            yield f"  Réponse à {act.recipient} : {said}, le {day_words(when.date())} (reponses/{act.id}.eml)"
