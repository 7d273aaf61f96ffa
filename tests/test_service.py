"""The unit, started for real by a systemd of its own, against Dovecot and Postfix; and what installs it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from inbox_agent.journal import SCHEMA_VERSION

from servers.dovecot import missing
from servers.nested_systemd import NestedSystemd, start_nested_systemd, stop_nested_systemd

_ROOT = Path(__file__).resolve().parents[1]
_MESSAGES = _ROOT / "inbox_agent" / "demo_messages"
_UNITS = _ROOT / "systemd"
_UNIT = "inbox-agent.service"
_DROP_IN = f"/etc/systemd/system/{_UNIT}.d"
_STATE = "/var/lib/inbox-agent"
_SETTLE = ("sh", "/opt/inbox-agent/share/systemd/install", "settle")

nested_systemd = pytest.mark.nested_systemd


# --- What systemd says of the files ------------------------------------------------------------------------------


def exposure(tmp_path: Path, unit: str, *drop_ins: str) -> float:
    if shutil.which("systemd-analyze") is None:
        missing("systemd is not installed")
    text = "\n".join((_UNITS / name).read_text() for name in (unit, *drop_ins))
    path = tmp_path / unit
    path.write_text(text)
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=12", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ignoring" not in done.stderr
    overall = next(line for line in done.stdout.splitlines() if "Overall exposure level" in line)
    return float(overall.partition(".service:")[2].split()[0])


def test_the_units_are_exposed_no_more_than_1_2(tmp_path):
    assert exposure(tmp_path, _UNIT) <= 1.2
    assert exposure(tmp_path, "inbox-agent-failure@.service") <= 1.2


def test_the_stricter_variant_is_exposed_less(tmp_path):
    assert exposure(tmp_path, _UNIT, "examples/strict.conf") < exposure(tmp_path, _UNIT)


# --- The program as installed, and a systemd around it -----------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    if shutil.which("uv") is None:
        missing("uv is not on PATH")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(["uv", "build", "--wheel", "--quiet", "--out-dir", str(folder), str(_ROOT)], check=True, timeout=100)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def program(wheel, tmp_path_factory) -> Path:
    """A root folder with the program in /opt and the units in /usr/lib."""
    root = tmp_path_factory.mktemp("stage") / "root"
    script = str(_UNITS / "install")
    subprocess.run(["sh", script, "stage", str(root), "--wheel", str(wheel)], check=True, timeout=300)
    root.chmod(0o755)
    return root


@contextmanager
def booted(*layers: Path):
    nested = start_nested_systemd(*layers)
    try:
        yield nested
    finally:
        stop_nested_systemd(nested)


@pytest.fixture
def nested(program):
    with booted(program) as system:
        system.run(*_SETTLE)
        yield system


@pytest.fixture
def agent(nested, dovecot, postfix):
    """The system with a configuration and passwords, not yet started."""
    for user in ("director@lab.test", "secretary@lab.test"):
        shutil.rmtree(dovecot.maildir(user), ignore_errors=True)
    nested.write("/etc/inbox-agent/ca.pem", dovecot.ca_file.read_text())
    configure(nested, imaps=dovecot.imaps, submission=postfix.submission)
    nested.write("/etc/credstore/inbox-agent.imap-password", "dirpw\n", mode=0o600)
    nested.write("/etc/credstore/inbox-agent.smtp-password", "dirpw\n", mode=0o600)
    return nested


def configure(nested: NestedSystemd, *, imaps: int, submission: int, more: str = "") -> None:
    text = _CONFIG.format(imaps=imaps, submission=submission) + more
    nested.write("/etc/inbox-agent/config.toml", text, mode=0o640)
    nested.run("chgrp", "inbox-agent", "/etc/inbox-agent/config.toml")


def override(nested: NestedSystemd, name: str, *lines: str) -> None:
    nested.write(f"{_DROP_IN}/{name}.conf", "\n".join(("[Service]", *lines, "")))
    nested.run("systemctl", "daemon-reload")


def start(nested: NestedSystemd) -> None:
    done = nested.run("systemctl", "start", _UNIT, check=False)
    assert done.returncode == 0, nested.log(_UNIT)


def until(what, seconds: float = 40):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s")
        time.sleep(0.2)
    return found


def status(nested: NestedSystemd) -> str:
    return nested.show(_UNIT, "StatusText")["StatusText"]


def message(number: int, surname: str = "MOREAU") -> bytes:
    """A CV alone; another number and surname are another candidate."""
    octets = (_MESSAGES / "03-cv-only.eml").read_bytes()
    octets = octets.replace(b"demo-03", f"service-{number}".encode())
    return octets.replace(b"MOREAU", surname.encode()).replace(b"moreau", surname.lower().encode())


def filed(nested: NestedSystemd) -> list[str]:
    found = nested.run("find", f"{_STATE}/archive", "-name", "message*.eml").stdout.split()
    return sorted(found)


@nested_systemd
def test_it_is_ready_reads_a_message_and_says_so(agent, dovecot):
    start(agent)
    assert status(agent)
    until(lambda: status(agent).startswith("0 messages"))
    dovecot.deliver("director@lab.test", message(1))

    until(lambda: status(agent).startswith("1 messages"))
    assert len(filed(agent)) == 1
    shown = agent.show(_UNIT, "ActiveState", "NRestarts", "User", "Result")
    assert shown == {"ActiveState": "active", "NRestarts": "0", "User": "inbox-agent", "Result": "success"}


@nested_systemd
def test_the_journal_has_priorities_and_keys_and_nobody_s_name(agent, dovecot):
    agent.write("/etc/credstore/inbox-agent.smtp-password", "wrong\n", mode=0o600)
    start(agent)
    until(lambda: "first-run" in agent.log(_UNIT))
    dovecot.deliver("director@lab.test", message(1))
    dovecot.deliver("director@lab.test", (_MESSAGES / "06-an-invoice.eml").read_bytes())
    until(lambda: status(agent).startswith("2 messages"))

    log = agent.log(_UNIT)
    assert "6 ready mailboxes=1" in log.splitlines()
    assert any(line.startswith("6 decided message=1 kind=application") for line in log.splitlines())
    for private in ("moreau", "thomas", "candidature charg", "dirpw", "wrong"):
        assert private not in log.lower()


@nested_systemd
def test_the_readers_are_confined_inside_the_unit_and_read_at_the_first_try(agent, dovecot):
    agent.write("/etc/inbox-agent/probe.py", _PROBE)
    override(agent, "probe", "ExecStartPre=/opt/inbox-agent/bin/python -I /etc/inbox-agent/probe.py")
    start(agent)
    until(lambda: "first-run" in agent.log(_UNIT))
    for number in range(3):
        dovecot.deliver("director@lab.test", message(number, f"MARTIN{'ABC'[number]}"))
    dovecot.deliver("director@lab.test", (_MESSAGES / "01-complete.eml").read_bytes())
    _mould, *readers = until(lambda: readers_of(agent)[1:] and readers_of(agent))
    until(lambda: status(agent).startswith("4 messages"))

    log = agent.log(_UNIT)
    assert "unread" not in log
    assert "6 confined landlock=True seccomp=True" in log.splitlines()
    for attempt in ("config", "credential", "state", "socket", "program"):
        assert f"6 {attempt} denied" in log.splitlines()
    main = agent.show(_UNIT, "MainPID")["MainPID"]
    assert filters(agent, readers[0]) > filters(agent, main)


def readers_of(nested: NestedSystemd) -> list[str]:
    return nested.run("pgrep", "-f", "inbox_agent.read", check=False).stdout.split()


def filters(nested: NestedSystemd, pid: str) -> int:
    said = nested.run("grep", "Seccomp_filters", f"/proc/{pid}/status").stdout
    return int(said.split()[1])


@nested_systemd
def test_a_pass_that_hangs_starves_the_watchdog_and_is_started_again(agent, dovecot, postfix):
    with socket.socket() as silent:  # A server that accepts and says nothing.
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        configure(agent, imaps=silent.getsockname()[1], submission=postfix.submission)
        override(agent, "watchdog", "WatchdogSec=3", "RestartSec=1")
        start(agent)
        until(lambda: int(agent.show(_UNIT, "NRestarts")["NRestarts"]) >= 1)
    assert "Watchdog timeout" in agent.log(_UNIT)

    configure(agent, imaps=dovecot.imaps, submission=postfix.submission)
    until(lambda: status(agent).startswith("0 messages") and "accès" not in status(agent))


@nested_systemd
def test_waiting_after_a_refused_login_is_no_hang(agent):
    agent.write("/etc/credstore/inbox-agent.imap-password", "wrong\n", mode=0o600)
    override(agent, "watchdog", "WatchdogSec=3")
    start(agent)
    until(lambda: "sans accès" in status(agent))
    time.sleep(8)

    assert agent.show(_UNIT, "ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}


@nested_systemd
def test_it_is_started_again_after_sigkill_and_files_nothing_twice(agent, dovecot):
    override(agent, "quick", "RestartSec=1")
    start(agent)
    until(lambda: "first-run" in agent.log(_UNIT))
    dovecot.deliver("director@lab.test", message(1))
    until(lambda: status(agent).startswith("1 messages"))
    agent.run("systemctl", "kill", "--kill-who=main", "--signal=SIGKILL", _UNIT)
    agent.wait(_UNIT, NRestarts="1", ActiveState="active")
    dovecot.deliver("director@lab.test", message(2, "LEROY"))

    until(lambda: status(agent).startswith("2 messages"))
    assert len(filed(agent)) == 2
    processes = agent.run("ps", "-o", "pid=,ppid=", "-u", "inbox-agent").stdout.split()
    orphans = [pid for pid, parent in zip(processes[::2], processes[1::2], strict=True) if parent == "1"]
    assert orphans == [agent.show(_UNIT, "MainPID")["MainPID"]]


@nested_systemd
def test_a_stop_in_the_middle_of_work_is_clean_and_the_rest_is_done_once(agent, dovecot):
    start(agent)
    until(lambda: "first-run" in agent.log(_UNIT))
    for number, surname in enumerate(_SURNAMES):
        dovecot.deliver("director@lab.test", message(number, surname))
    until(lambda: readers_of(agent))
    began = time.monotonic()
    agent.run("systemctl", "stop", _UNIT)

    assert time.monotonic() - began < 30
    assert agent.show(_UNIT, "Result", "ExecMainStatus") == {"Result": "success", "ExecMainStatus": "0"}
    assert agent.run("pgrep", "-u", "inbox-agent", check=False).stdout == ""
    start(agent)
    until(lambda: status(agent).startswith(f"{len(_SURNAMES)} messages, 0 en attente"), 60)
    assert len(filed(agent)) == len(_SURNAMES)


@nested_systemd
def test_a_credential_encrypted_for_this_machine_is_decrypted_for_the_unit_alone(agent):
    agent.run("rm", "/etc/credstore/inbox-agent.imap-password", "/etc/credstore/inbox-agent.smtp-password")
    agent.run("mkdir", "-m", "700", "/etc/credstore.encrypted")
    for name in ("imap-password", "smtp-password"):
        target = f"/etc/credstore.encrypted/inbox-agent.{name}"
        agent.run("systemd-creds", "encrypt", f"--name={name}", "-", target, text="dirpw")
        assert "dirpw" not in agent.run("cat", target).stdout
    override(agent, "encrypted", *_settings("examples/encrypted-credentials.conf"))
    start(agent)

    until(lambda: "first-run" in agent.log(_UNIT))
    assert "sans accès" not in status(agent)


@nested_systemd
def test_it_writes_in_its_own_folders_and_nowhere_else(agent, dovecot):
    override(agent, "touch", f"ExecStartPre=-/bin/sh -c '{_TOUCH}'")
    agent.run("sh", "-c", "sleep 1.1; touch /run/before; sleep 0.1")
    start(agent)
    until(lambda: "first-run" in agent.log(_UNIT))
    dovecot.deliver("director@lab.test", message(1))
    until(lambda: status(agent).startswith("1 messages"))
    agent.run("systemctl", "stop", _UNIT)

    find = ("find", ".", "-xdev", "-newer", "/run/before", "-not", "-type", "d")
    written = agent.run("env", "-C", "/run/written", *find).stdout.split()
    assert {path for path in written if not path.startswith((f".{_STATE}/", "./var/lib/systemd/"))} == set()
    refused = agent.log(_UNIT)
    for folder in ("/etc", "/usr", "/opt/inbox-agent", "/var/lib", "/home", "/root"):
        assert f"6 {folder} refused" in refused.splitlines()
    assert agent.run("stat", "-c", "%a %U", _STATE).stdout.split() == ["700", "inbox-agent"]


@nested_systemd
def test_an_archive_elsewhere_needs_the_drop_in_and_then_works(agent, dovecot, postfix):
    configure(agent, imaps=dovecot.imaps, submission=postfix.submission)
    agent.run("sed", "-i", f"s,{_STATE}/archive,/srv/candidatures,", "/etc/inbox-agent/config.toml")
    agent.run("install", "-d", "-o", "inbox-agent", "-g", "users", "-m", "2750", "/srv/candidatures")
    start(agent)
    until(lambda: "FileStoreError" in agent.log(_UNIT))
    agent.run(
        "install", "-D", "-m", "644", "/opt/inbox-agent/share/systemd/examples/archive.conf", f"{_DROP_IN}/a.conf"
    )
    agent.run("systemctl", "daemon-reload")
    agent.run("systemctl", "restart", _UNIT)
    until(lambda: "first-run" in agent.log(_UNIT))
    dovecot.deliver("director@lab.test", message(1))
    until(lambda: status(agent).startswith("1 messages"))

    cv = agent.run("find", "/srv/candidatures", "-name", "CV_*").stdout.split()[0]
    assert agent.run("stat", "-c", "%U", cv).stdout.split() == ["inbox-agent"]


@nested_systemd
def test_an_upgrade_migrates_after_a_backup_and_a_downgrade_refuses_and_changes_nothing(agent, dovecot):
    start(agent)
    until(lambda: "first-run" in agent.log(_UNIT))
    dovecot.deliver("director@lab.test", message(1))
    until(lambda: status(agent).startswith("1 messages"))
    agent.run("systemctl", "stop", _UNIT)

    knows(agent, "9002")
    start(agent)
    dovecot.deliver("director@lab.test", message(2, "LEROY"))
    until(lambda: status(agent).startswith("2 messages, 0 en attente"))
    assert agent.run("ls", f"{_STATE}/journal.db.before-upgrade-from-{SCHEMA_VERSION}").returncode == 0
    agent.run("systemctl", "stop", _UNIT)

    knows(agent, SCHEMA_VERSION)
    before = agent.run("sha256sum", f"{_STATE}/journal.db").stdout
    assert agent.run("systemctl", "start", _UNIT, check=False).returncode != 0
    assert agent.show(_UNIT, "ExecMainStatus") == {"ExecMainStatus": "1"}
    refused = f"the store has version 9002 and this program knows {SCHEMA_VERSION}. Install the newer program again"
    assert refused in agent.log(_UNIT)
    agent.run("systemctl", "stop", _UNIT)
    assert agent.run("sha256sum", f"{_STATE}/journal.db").stdout == before

    knows(agent, "9002")
    start(agent)
    until(lambda: status(agent).startswith("2 messages, 0 en attente"))
    assert len(filed(agent)) == 2


def knows(nested: NestedSystemd, version: str) -> None:
    """Make the installed program one of that version of the tables."""
    where = "import inbox_agent; print(inbox_agent.__path__[0])"
    package = nested.run("/opt/inbox-agent/bin/python", "-I", "-c", where).stdout.strip()
    nested.run("sed", "-i", f's/^SCHEMA_VERSION = .*/SCHEMA_VERSION = "{version}"/', f"{package}/journal.py")
    nested.run("sh", "-c", f"rm -f {package}/__pycache__/journal.*")  # Compiled when it was installed.
    migration = f"{package}/migrations/versions/v9002_another_column.py"
    if version == "9002":
        nested.write(migration, _MIGRATION)
    else:
        nested.run("rm", migration)


_MIGRATION = f"""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9002", "{SCHEMA_VERSION}", None, None


def upgrade():
    op.add_column("facts", sa.Column("noted_at", sa.Text()))
"""


@nested_systemd
def test_the_stricter_variant_reads_a_message_too(agent, dovecot):
    settings = [line for line in _settings("examples/strict.conf") if "192.0.2" not in line]
    override(agent, "strict", *settings)
    start(agent)
    until(lambda: "first-run" in agent.log(_UNIT))
    dovecot.deliver("director@lab.test", message(1))

    until(lambda: status(agent).startswith("1 messages"))
    assert len(filed(agent)) == 1, agent.log(_UNIT)
    assert "unread" not in agent.log(_UNIT)


@nested_systemd
def test_a_wrong_configuration_is_not_tried_again_and_the_operator_hears_of_it(agent, dovecot, postfix):
    more = '\n[alerts]\nto = ["secretary@lab.test"]\n[retention]\nmonts = 3\n'
    configure(agent, imaps=dovecot.imaps, submission=postfix.submission, more=more)
    agent.run("systemctl", "start", _UNIT, check=False)
    agent.wait(_UNIT, ActiveState="failed", ExecMainStatus="78", NRestarts="0")

    log = agent.log(_UNIT)
    assert "retention.monts" in log
    assert "months" in log
    inbox = dovecot.maildir("secretary@lab.test") / "new"
    mails = until(lambda: list(inbox.iterdir()) if inbox.is_dir() else [])
    assert len(mails) == 1
    assert b"Auto-Submitted: auto-generated" in mails[0].read_bytes()


# --- Installing ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkout(wheel, tmp_path_factory) -> Path:
    """The script and the wheel, in /srv of a nested system."""
    root = tmp_path_factory.mktemp("checkout") / "root"
    (root / "srv").mkdir(parents=True)
    root.chmod(0o755)
    shutil.copytree(_UNITS, root / "srv" / "systemd")
    shutil.copy(wheel, root / "srv" / wheel.name)
    return root


@nested_systemd
def test_install_may_be_repeated_and_uninstall_keeps_every_datum(checkout, wheel):
    with booted(checkout) as system:
        given = [f"{name}={value}" for name, value in os.environ.items() if name.startswith(("UV_", "SSL_", "PIP_"))]
        install = ("env", f"UV={shutil.which('uv')}", f"HOME={Path.home()}", *given, "sh", "/srv/systemd/install")
        take = ("--wheel", f"/srv/{wheel.name}")

        system.run("touch", "/run/before")
        planned = system.run(*install, "install", *take, "--dry-run").stdout
        assert "would run: useradd" in planned
        written = system.run("find", "/run/written", "-xdev", "-newer", "/run/before", "-type", "f").stdout
        assert written == ""

        system.run(*install, "install", *take)
        assert system.run("inbox-agent", "--help").returncode == 0
        assert system.show(_UNIT, "LoadState", "UnitFileState") == {"LoadState": "loaded", "UnitFileState": "disabled"}
        system.write("/etc/inbox-agent/config.toml", "ours = 1\n")
        again = system.run(*install, "install", *take).stdout
        assert "program: /opt/inbox-agent, unchanged" in again
        assert "left as it is" in again
        assert system.run("cat", "/etc/inbox-agent/config.toml").stdout == "ours = 1\n"

        system.write(f"{_STATE}/journal.db", "data")
        system.run(*install, "uninstall")
        kept = system.run("ls", "/etc/inbox-agent/config.toml", f"{_STATE}/journal.db", "/etc/inbox-agent/rules/offers")
        assert "charge-de-mission-2024.toml" in kept.stdout
        assert system.run("ls", "/opt/inbox-agent", check=False).returncode != 0
        assert system.show(_UNIT, "LoadState") == {"LoadState": "not-found"}


def _settings(name: str) -> list[str]:
    """The [Service] lines of a drop-in."""
    text = (_UNITS / name).read_text()
    service = text.partition("[Service]\n")[2]
    return [line for line in service.splitlines() if line and not line.startswith("#")]


_SURNAMES = """
    ROUX VIDAL BLANC GARNIER FAURE CHEVALIER FRANCOIS MERCIER DUPUIS LAMBERT BONNET ROUSSEAU GAUTHIER PERRIN MORIN
    NICOLAS HENRY CLEMENT MASSON MARCHAND DUVAL DENIS DUMONT LEMAIRE NOEL MEYER DUFOUR MEUNIER BRUN
""".split()  # noqa: SIM905 - thirty names read better as lines

_TOUCH = (
    "for f in /etc /usr /opt/inbox-agent /var/lib /home /root; do "
    "touch $f/inbox-agent-was-here 2>/dev/null && echo $f written || echo $f refused; done"
)

_PROBE = """
import os, socket
from pathlib import Path
from inbox_agent.sandbox import Ceiling, confine

credential = Path(os.environ["CREDENTIALS_DIRECTORY"]) / "imap-password"
state = Path("/var/lib/inbox-agent/archive")
credential.read_text(), list(state.iterdir())  # What the unit itself may do.
found = confine(Ceiling(memory=1 << 30, file=1 << 20), writable=None)
print(f"confined landlock={found.landlock is not None} seccomp={found.seccomp}")
attempts = {
    "config": lambda: Path("/etc/inbox-agent/config.toml").read_text(),
    "credential": credential.read_text,
    "state": lambda: list(state.iterdir()),
    "socket": socket.socket,
    "program": lambda: os.execv("/bin/true", ["true"]),
}
for name, attempt in attempts.items():
    try:
        attempt()
    except PermissionError:
        print(name, "denied")
    else:
        print(name, "ALLOWED")
"""

_CONFIG = """
state = "/var/lib/inbox-agent"
rules = "rules"

[organisation]
name = "Ville & Territoires"
address = "director@lab.test"

[[mailboxes]]
name = "directrice"
poll_seconds = 5
[mailboxes.imap]
host = "127.0.0.1"
port = {imaps}
user = "director@lab.test"
password = {{ credential = "imap-password" }}
ca_file = "ca.pem"

[smtp]
host = "127.0.0.1"
port = {submission}
tls = "starttls"
user = "director@lab.test"
password = {{ credential = "smtp-password" }}
ca_file = "ca.pem"

[archive]
root = "/var/lib/inbox-agent/archive"

[digest]
to = ["secretary@lab.test"]
"""
