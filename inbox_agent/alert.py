"""Tells the operator at once of trouble that cannot wait for the digest, and again when it is over.

DESCRIPTION
    A mail to each of `alerts.to` over a connection of its own, and `alerts.command` with the same text on its
    standard input. Not by the outbox: what is broken may be the store. A trouble is told once and then once a
    day while it lasts; one that comes and goes, at most once an hour; all of them together, twelve times a day.
    `python -m inbox_agent.alert UNIT` is what systemd runs when a unit has failed for good.
DIAGNOSTICS
    `tell` and `over` raise nothing: an alert that cannot be given is a line in the log.
BUGS
    What was told is kept in `alerts.json` in the state folder. Where that cannot be written (a full disk), a
    restart forgets it and the operator hears of the same trouble again.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import subprocess
import sys
import tomllib
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from inbox_agent.config import Alerts, Config, Organisation, Smtp, config_path, load_config
from inbox_agent.errors import (
    EXIT_CONFIG,
    EXIT_FAILED,
    EXIT_USAGE,
    AgentError,
    AuthenticationError,
    ConfigError,
    Fault,
    ImplausibleError,
    TryAgainError,
)
from inbox_agent.installation import smtp_sender
from inbox_agent.logs import start_logging
from inbox_agent.message import Address
from inbox_agent.outgoing import compose, date_header
from inbox_agent.wording import NBSP

if TYPE_CHECKING:
    from pathlib import Path

    from inbox_agent.ports import Clock

_log = logging.getLogger(__name__)

_AGAIN = timedelta(days=1)  # a trouble that lasts
_FLAPPING = timedelta(hours=1)  # one that comes back
_RETRY = timedelta(minutes=10)  # after an alert that could not be given
_PER_DAY = 12
_COMMAND_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something a person must mend.

    `key` names it ("poll:directrice") and stays the same while it lasts. `what` is one French sentence without
    personal data, the subject of the mail; `detail` an error's own sentence; `remedy` French. `patient`: told
    only once it has lasted `alerts.after_minutes`, for what often mends itself.
    """

    key: str
    what: str
    detail: str = ""
    remedy: str = ""
    patient: bool = False


@dataclass(frozen=True, slots=True)
class _Told:
    """What is known of one trouble. Moments in ISO 8601, UTC; `since` is None once it is over."""

    what: str
    since: str | None
    told: str | None = None
    tried: str | None = None


class Alarm:
    """Gives alerts for one installation. For one thread at a time."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._path = config.state / "alerts.json"
        self._known, self._mails = _load(self._path)

    def tell(self, trouble: Trouble) -> bool:
        """Note the trouble, and alert the operator if it is time to. Call it each time it is met; False: not now."""
        now = self._clock.now()
        known = self._known.get(trouble.key) or _Told(trouble.what, None)
        fresh = known.since is None
        known = replace(known, what=trouble.what, since=now.isoformat() if fresh else known.since)
        due = self._due(known, trouble, now)
        if due:
            given = self._give(f"[inbox_agent] {trouble.what}", _words(trouble, _moment(known.since) or now))
            known = replace(known, tried=now.isoformat(), told=now.isoformat() if given else known.told)
            due = given
        if fresh or known != self._known.get(trouble.key):
            self._known[trouble.key] = known
            self._keep()
        return due

    def over(self, key: str) -> bool:
        """The trouble has ended. The operator hears of it if they heard of the trouble; cheap when there was none."""
        known = self._known.get(key)
        if known is None or known.since is None:
            return False
        since = _moment(known.since)
        told = _moment(known.told)
        self._known[key] = replace(known, since=None)
        self._keep()
        if told is None or since is None or told < since:
            return False
        text = f"Rétabli le {_clock_words(self._clock.now())}{NBSP}: {known.what}\n"
        return self._give(f"[inbox_agent] Rétabli{NBSP}: {known.what}", text)

    def _due(self, known: _Told, trouble: Trouble, now: datetime) -> bool:
        since, told, tried = _moment(known.since) or now, _moment(known.told), _moment(known.tried)
        if trouble.patient and now - since < timedelta(minutes=self._config.alerts.after_minutes):
            return False
        if told is not None and now - told < (_AGAIN if told >= since else _FLAPPING):
            return False
        return tried is None or tried == told or now - tried >= _RETRY

    def _give(self, subject: str, text: str) -> bool:
        """By every way that is configured; True if one of them took it."""
        alerts, now = self._config.alerts, self._clock.now()
        if not alerts.to and not alerts.command:
            return True  # The log has it, nobody else was to hear of it.
        self._mails = [moment for moment in self._mails if now - moment < timedelta(days=1)]
        if len(self._mails) >= _PER_DAY:
            _log.error("alert-withheld: %d were given in a day", len(self._mails))
            return False
        by_mail = [self._mail(recipient, subject, text) for recipient in alerts.to]
        given = _run(alerts.command, f"{subject}\n\n{text}") if alerts.command else False
        if given or any(by_mail):
            self._mails.append(now)
            return True
        return False

    def _mail(self, recipient: str, subject: str, text: str) -> bool:
        organisation = self._config.organisation
        headers: list[tuple[str, str | Address]] = [
            ("From", Address(organisation.name, organisation.address)),
            ("To", Address("", recipient)),
            ("Subject", subject),
            ("Date", date_header(self._clock.now())),
            ("Message-ID", f"<alert.{secrets.token_hex(16)}@{organisation.address.rpartition('@')[2]}>"),
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", "All"),
        ]
        sender = None
        try:
            octets = compose(headers, text=text)
            sender = smtp_sender(self._config)
            if sender is None:
                _log.error("alert-failed: alerts.to is set and there is no [smtp]")
                return False
            sender.send(octets, envelope_from=organisation.address, recipient=recipient, before_dot=lambda: None)
        except (AgentError, ValueError) as error:  # ValueError: the address of a configuration that is wrong.
            _log.error("alert-failed %s: %s", type(error).__name__, error)
            return False
        finally:
            if sender is not None:
                sender.close()
        _log.info("alert-mailed")
        return True

    def _keep(self) -> None:
        table = {
            "troubles": {key: asdict(known) for key, known in self._known.items()},
            "mails": [moment.isoformat() for moment in self._mails],
        }
        partial = self._path.with_suffix(".tmp")
        try:
            partial.write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
            partial.replace(self._path)
        except OSError as error:
            _log.warning("alerts-not-kept %s", error.strerror)


# What `trouble_of` says, by the first word of its key.
TROUBLE_KINDS = ("login", "world", "poll")

REPLIES_ARE_STOPPED = Trouble(
    "replies",
    "Les réponses sont suspendues",
    remedy="Plus de réponses que d’ordinaire : voir « inbox-agent status », puis « outbox --resume ».",
)
NOTHING_IS_SENT = Trouble(
    "sending",
    "Le serveur d’envoi n’accepte plus rien",
    remedy="Les réponses attendent et partiront d’elles-mêmes : vérifier le serveur et le mot de passe de [smtp].",
    patient=True,
)


def trouble_of(mailbox: str, error: AgentError) -> Trouble:
    """What to tell of a pass that failed; what may mend itself is told only once it has lasted."""
    match error:
        case AuthenticationError():
            what = f"La boîte {mailbox} refuse la connexion"
            remedy = (
                "Vérifier le mot de passe ou refaire « inbox-agent sign-in » ; un seul essai toutes les dix minutes."
            )
            return Trouble(f"login:{mailbox}", what, str(error), remedy)
        case TryAgainError() if not isinstance(error, ImplausibleError):
            what = f"La boîte {mailbox} n’est plus relevée"
            remedy = "Le courrier attend sur le serveur ; vérifier le réseau et le serveur si cela dure."
            return Trouble(f"poll:{mailbox}", what, str(error), remedy, patient=True)
        case _:
            what = "L’agent s’est arrêté par prudence"
            return Trouble(f"world:{mailbox}", what, str(error), "Il reprendra seul quand la cause aura disparu.")


def service_failed(unit: str, environment: dict[str, str]) -> Trouble:
    """What systemd says of a unit that has failed (systemd.exec(5), MONITOR_*; empty before systemd 251)."""
    result = environment.get("MONITOR_SERVICE_RESULT", "")
    status = environment.get("MONITOR_EXIT_STATUS", "")
    if status == str(EXIT_CONFIG):
        remedy = f"la configuration est fausse, lancez{NBSP}: inbox-agent check"
    else:
        remedy = f"lisez journalctl -u {unit} -n 50, puis lancez systemctl restart {unit}"
    return Trouble(
        key=f"service:{unit}",
        what="Le service s’est arrêté, les candidatures ne sont plus lues",
        detail=f"{unit} result={result or 'unknown'} status={status or 'unknown'}",
        remedy=remedy,
    )


def salvaged_config(path: Path) -> Config:
    """The configuration, or of a wrong one what an alert needs: [alerts], [smtp], the address and the state folder.

    Raises ConfigError when even those cannot be had.
    """
    try:
        return load_config(path)
    except ConfigError:
        _log.warning("config-wrong: the alert takes from it what it can")
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        context = {"folder": path.parent}
        address = str(table["organisation"]["address"])
        needed: dict[str, Any] = {
            "state": path.parent / str(table["state"]),
            "smtp": Smtp.model_validate(table["smtp"], context=context) if "smtp" in table else None,
            "alerts": Alerts.model_validate(table.get("alerts", {}), context=context),
            "organisation": Organisation.model_construct(name=str(table["organisation"]["name"]), address=address),
        }
        return Config.model_construct(**needed)
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        fault = Fault(str(path), "file", "nobody can be alerted by it", "Correct it: inbox-agent check.")
        raise ConfigError((fault,)) from None


def _load(path: Path) -> tuple[dict[str, _Told], list[datetime]]:
    """What was told; nothing if the file is missing or not ours."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        troubles = {key: _Told(**value) for key, value in table["troubles"].items()}
        return troubles, [datetime.fromisoformat(moment) for moment in table["mails"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, []


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _clock_words(moment: datetime) -> str:
    return f"{moment.astimezone():%d/%m/%Y à %H:%M}"


def _words(trouble: Trouble, since: datetime) -> str:
    lines = [f"{trouble.what}.", "", f"Depuis le {_clock_words(since)}."]
    if trouble.remedy:
        lines += ["", f"À faire{NBSP}: {trouble.remedy}"]
    if trouble.detail:
        lines += ["", trouble.detail]
    lines += ["", f"Rien n’est perdu{NBSP}: les messages restent dans la boîte.", ""]
    return "\n".join(lines)


def _run(command: list[str], text: str) -> bool:
    try:
        subprocess.run(  # noqa: S603 - the operator's own command
            command, input=text, text=True, capture_output=True, timeout=_COMMAND_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        _log.error("alert-command-failed %s", type(error).__name__)
        return False
    return True


def main() -> None:
    """`python -m inbox_agent.alert UNIT`: that unit has failed."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and its argument
        sys.stderr.write("usage: python -m inbox_agent.alert UNIT\n")
        raise SystemExit(EXIT_USAGE)
    start_logging()
    from inbox_agent.adapters.clock import SystemClock  # noqa: PLC0415 - only as a program

    try:
        alarm = Alarm(salvaged_config(config_path(None)), SystemClock())
    except ConfigError as error:
        _log.critical("alert-impossible %s", error)
        raise SystemExit(EXIT_CONFIG) from None
    told = alarm.tell(service_failed(sys.argv[1], dict(os.environ)))
    raise SystemExit(0 if told else EXIT_FAILED)


if __name__ == "__main__":
    main()
