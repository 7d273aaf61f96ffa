"""Disks that fail and lines that break, for the whole program: the next pass completes, and the invariants hold.

strace is the check that is independent of our own failpoints: it kills the real program at the n-th system call,
and makes calls fail. A normal run takes the same sample each time (how many: INBOX_AGENT_DISK_SAMPLE,
INBOX_AGENT_STRACE_SAMPLE; another: INBOX_AGENT_SEED); `-m soak` takes every point, and many system calls.
"""

from __future__ import annotations

import email
import email.policy
import imaplib
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from laboratory import DRAWN, SEED, EndState, Mail, broken_invariants, end_state, outcome, samples
from servers.dovecot import missing
from servers.proxy import Fault
from servers.scripted_imap import COURIER, FULL, OLD, Folder, ScriptedImap

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

MAILS = samples("01", "03", "06", "04", "12")
KEPT = "the server keeps Sent"
PATIENCE = 6  # seconds for a server; on a busy machine one that is well must not seem stalled


_ENDS: dict[tuple[str, ...], EndState] = {}


def undisturbed(laboratory, mails=MAILS, **options) -> EndState:
    """The end state without any fault, made once for each set of messages."""
    names = tuple(f"{mail.name} {len(mail.octets)}" for mail in mails)
    if names not in _ENDS:
        _ENDS[names] = _undisturbed(laboratory, mails, options)
    return _ENDS[names]


def _undisturbed(laboratory, mails, options) -> EndState:
    lab = laboratory(KEPT, **options)
    lab.learn_what_the_server_keeps()
    lab.deliver(*mails)
    lab.settle()
    state = end_state(lab)
    assert broken_invariants(lab, state) == []
    return state


@pytest.fixture
def expected(laboratory):
    return undisturbed(laboratory)


def ready(laboratory, mails=MAILS, **options):
    lab = laboratory(KEPT, **options)
    lab.learn_what_the_server_keeps()
    lab.deliver(*mails)
    return lab


def require_whole(lab, expected, *, may_be=("once",), told: str = "") -> None:
    lab.settle()
    assert broken_invariants(lab, expected) == [], told
    assert outcome(lab, expected) in may_be, told


# --- lines that break ---------------------------------------------------------------------------------

IMAP_STEPS = {
    "greeting": ("to_client", rb"\* OK", True),
    "login sent": ("to_server", rb"LOGIN", False),
    "login answered": ("to_client", rb"Logged in", True),
    "select": ("to_server", rb"SELECT", False),
    "sizes": ("to_client", rb"RFC822\.SIZE", True),
    "literal": ("to_client", rb"BODY\[\] \{\d+\}\r\n.{700}", False),
    "before MOVE": ("to_server", rb"UID MOVE", True),
    "before MOVE is answered": ("to_client", rb"COPYUID", True),
    "after MOVE is answered": ("to_client", rb"COPYUID[^\r]*\r\n", False),
    "verifying": ("to_client", rb"STATUS", True),
}


@pytest.mark.parametrize("step", IMAP_STEPS)
def test_an_imap_line_that_breaks_at_any_step_loses_and_doubles_nothing(laboratory, dovecot, proxied, step):
    expected = undisturbed(laboratory)
    generator = random.Random(f"{SEED}{step}")  # noqa: S311 # A sample.
    way, pattern, before = IMAP_STEPS[step]
    what = generator.choice(["cut", "reset", "stall"])
    proxy = proxied(dovecot.imap)
    lab = ready(laboratory, imap_port=proxy.port)
    proxy.fault = Fault(what, way, pattern, before=before)
    status = lab.once(patience=PATIENCE)
    assert proxy.fault.struck == 1, f"{what} at {step} never came about"
    assert status == 75, lab.errors()
    require_whole(lab, expected)


def test_an_imap_line_slowed_to_single_octets_is_waited_for(laboratory, dovecot, proxied, expected):
    proxy = proxied(dovecot.imap)
    lab = ready(laboratory, imap_port=proxy.port)
    proxy.fault = Fault("trickle", "to_client", rb"BODY\[\] \{\d+\}", seconds=0.0001)
    assert lab.once(patience=30) == 0, lab.errors()
    assert proxy.fault.struck == 1
    require_whole(lab, expected)


SMTP_STEPS = {
    "greeting": ("to_client", rb"220 ", True),
    "EHLO": ("to_server", rb"(?i)EHLO", False),
    "MAIL": ("to_server", rb"MAIL FROM", False),
    "RCPT": ("to_server", rb"RCPT TO", True),
    "after 354": ("to_client", rb"354 [^\r]*\r\n", False),
    "within the message": ("to_server", rb"DATA\r\n.{600}", False),
    "before the dot": ("to_server", rb"\r\n\.\r\n", True),
    "after the dot": ("to_server", rb"\r\n\.\r\n", False),
}


@pytest.mark.parametrize("step", SMTP_STEPS)
def test_an_smtp_line_that_breaks_at_any_step_answers_everybody_once(laboratory, proxied, sink, step):
    expected = undisturbed(laboratory)
    way, pattern, before = SMTP_STEPS[step]
    what = random.Random(f"{SEED}{step}").choice(["cut", "reset", "stall"])  # noqa: S311 # A sample.
    proxy = proxied(sink.port)
    lab = ready(laboratory, smtp_port=proxy.port)
    proxy.fault = Fault(what, way, pattern, before=before)
    assert lab.once(patience=PATIENCE) == 0, lab.errors()
    assert proxy.fault.struck == 1
    # Past the dot nobody can know, and nothing here gives evidence: the policy sends the same octets once more.
    require_whole(lab, expected, may_be=("once", "twice") if step == "after the dot" else ("once",))


@pytest.mark.parametrize(("command", "answer"), [("RCPT", "451 later"), ("DATA", "452 full"), ("RCPT", "421 closing")])
def test_a_temporary_refusal_is_made_good_later(laboratory, sink, expected, command, answer):
    lab = ready(laboratory)
    sink.answers = {command: [answer]}
    assert lab.once() == 0, lab.errors()
    require_whole(lab, expected)


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
def test_a_reply_that_is_refused_for_good_is_told_and_not_tried_again(laboratory, sink, command):
    lab = ready(laboratory)
    sink.answers = {command: ["550 no such user"]}
    lab.settle()
    assert len(sink.replies()) == 3
    assert lab.rows("SELECT COUNT(*) FROM acts WHERE state = 'failed'") == [(1,)]
    before = len(sink.accepted)
    assert lab.once(digest=True, ahead=90000) == 0, lab.errors()
    assert "envoi refusé par le serveur" in lab.texts_since(before)


# --- servers that lack and differ ---------------------------------------------------------------------


@pytest.mark.parametrize("point", [None, "move.after:1", "imap.command.after:24"])
@pytest.mark.parametrize(
    "kind",
    [(COURIER, "INBOX.", ".", True), (OLD, "", "/", False), (FULL, "", "/", False)],
    ids=["courier", "rfc3501", "mute"],
)
def test_a_server_without_move_or_uidplus_or_with_another_prefix_has_each_message_once(laboratory, kind, point):
    capabilities, prefix, separator, codes = kind
    at = imaplib.Time2Internaldate(time.time() - 6 * 86400).strip('"')
    inbox = Folder()
    for mail in samples("01", "03", "06"):
        inbox.add(mail.octets, at)
    server = ScriptedImap(capabilities, prefix, separator, codes=codes, folders={"INBOX": inbox})
    with server:
        lab = laboratory(imap_port=server.port, password="right")
        if point is not None:
            assert lab.once(failpoint=f"{point}:kill") == -9, lab.errors()
        lab.settle()
        there = {name: sorted(mail.octets for mail in folder.mails) for name, folder in server.folders.items()}
    candidates = f"{prefix}Candidatures{separator}charge-de-mission-2024{separator}"
    octets = {mail.name[:2]: mail.octets for mail in samples("01", "03", "06")}
    assert there["INBOX"] == [octets["06"]]
    assert there[f"{candidates}Compl&AOg-tes"] == [octets["01"]]
    assert there[f"{candidates}Incompl&AOg-tes"] == [octets["03"]]
    assert sorted(template for _, template, _ in lab.sink.replies()) == ["complete", "incomplete"]
    assert len([path for path in lab.archive() if path.endswith(".eml")]) == 2


# --- disks that fail ----------------------------------------------------------------------------------

# Wherever the disk can refuse: beside the store and the files, every place that no adapter stands before.
POINTS = re.compile(r".*\.before")


def disk_fails(laboratory, fault: str, expected, *, count: int | None, seed: int) -> int:
    """That error at so many of the points, or at all of them, each at a hit of its own; how many there were."""
    lab = ready(laboratory)
    log = lab.folder / "points.log"
    assert lab.once(log=str(log)) == 0, lab.errors()
    hits = Counter(name for name in log.read_text().split() if POINTS.fullmatch(name))
    generator = random.Random(seed)  # noqa: S311 # A sample.
    names = sorted(hits) if count is None else generator.sample(sorted(hits), min(count, len(hits)))
    for name in names:
        lab = ready(laboratory)
        point = f"{name}:{generator.randint(1, hits[name])}:{fault}"
        status = lab.once(failpoint=point)
        assert status in (0, 1, 75), f"{point}: {lab.errors()}"
        require_whole(lab, expected, told=point)
        lab.destroy()
    return len(names)


@pytest.mark.parametrize("fault", ["enospc", "eio"])
def test_an_error_of_the_disk_at_any_write_is_made_good(laboratory, fault, expected):
    count = int(os.environ.get("INBOX_AGENT_DISK_SAMPLE", "8"))
    assert disk_fails(laboratory, fault, expected, count=count, seed=SEED) == count


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", ["enospc", "eio"])
def test_an_error_of_the_disk_at_every_write_is_made_good(laboratory, fault, expected):
    assert disk_fails(laboratory, fault, expected, count=None, seed=DRAWN) > 30


def test_an_error_of_the_system_where_nobody_expects_one_is_told_and_made_good(laboratory, expected):
    lab = ready(laboratory)
    stray = lab.folder / "state" / "spool" / "direction" / "lost+found" / "what a disk check left"
    stray.mkdir(parents=True)  # The sweep removes files, and folders of files.
    assert lab.once() == 1, lab.errors()
    assert "the system refuses" in lab.rows("SELECT trouble FROM mailboxes")[0][0]
    stray.rmdir()
    require_whole(lab, expected)
    assert lab.rows("SELECT trouble FROM mailboxes") == [(None,)]


def large(mail: Mail, octets: int) -> Mail:
    """The same with a large attachment."""
    message = email.message_from_bytes(mail.octets, policy=email.policy.SMTP)
    noise = random.Random(mail.name).randbytes(octets)  # noqa: S311 # Padding.
    message.add_attachment(noise, maintype="application", subtype="octet-stream", filename="portfolio.bin")
    return Mail(mail.name, message.as_bytes(), mail.days_ago)


@pytest.mark.parametrize("what", ["archive", "state"])
def test_a_disk_that_fills_up_on_the_way_loses_nothing(laboratory, what):
    if os.geteuid() != 0:
        pytest.skip("mounting wants root")
    mails = [large(mail, 500_000) for mail in MAILS if not mail.name.startswith("06")]
    expected = undisturbed(laboratory, mails, largest=1)
    size = random.Random(SEED).randint(3300, 4400)  # noqa: S311 # 3 MB are wanted at the start.
    lab = laboratory(KEPT, largest=1)
    folder = lab.folder / what
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "proof", folder], check=True)
    try:
        lab.learn_what_the_server_keeps()
        lab.deliver(*mails)
        statuses = [lab.once(), lab.once(ahead=61)]
        assert set(statuses) <= {0, 1, 75}, lab.errors()
        assert any(statuses) or lab.open_acts(), "it never became full"
        subprocess.run(["mount", "-o", "remount,size=100m", folder], check=True)
        lab.settle()
        assert broken_invariants(lab, expected) == []
        assert outcome(lab, expected) == "once"
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


# --- strace -------------------------------------------------------------------------------------------

KILLED = ("fsync", "fdatasync", "rename", "renameat", "link", "linkat", "pwrite64", "sendto")
FAILED = (("fsync", "EIO"), ("fdatasync", "EIO"), ("pwrite64", "ENOSPC"), ("linkat", "EDQUOT"), ("rename", "ENOSPC"))


def traced(lab, *options: str) -> int:
    """The real program, `once`, under strace: all its threads, none of the programs that it starts."""
    strace = ["strace", "-f", "-b", "execve", "-o", str(lab.folder / "strace.log"), *options]
    command = [*strace, sys.executable, "-m", "inbox_agent", "once", "--config", lab.config]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}  # The first run would rename what it compiles.
    with (lab.folder / "errors.log").open("ab") as errors:
        return subprocess.run(
            command, check=False, stderr=errors, stdout=errors, timeout=120, env=environment
        ).returncode


def calls(laboratory) -> Counter[str]:
    """How often the program makes each of the calls, in the thread that makes most: strace counts each for itself."""
    if shutil.which("strace") is None:
        missing("strace is not installed")
    lab = ready(laboratory)
    status = traced(lab, "-e", f"trace=/^({'|'.join(KILLED)})$")
    assert status == 0, lab.errors()
    lines = (lab.folder / "strace.log").read_text(errors="replace").splitlines()
    made: dict[str, Counter[str]] = {}
    for line in lines:
        thread, _, call = line.partition(" ")
        made.setdefault(thread, Counter())[call.strip().partition("(")[0]] += 1
    return Counter({name: most for name in KILLED if (most := max(counts[name] for counts in made.values()))})


def inject(laboratory, expected, count: int, seed: int) -> Counter[str]:
    made = calls(laboratory)
    assert made["fsync"] > 3
    assert made["pwrite64"] > 10
    generator = random.Random(seed)  # noqa: S311 # A sample.
    outcomes: Counter[str] = Counter()
    for number in range(count):
        if number % 2 == 0:
            name = generator.choice([name for name in KILLED if made[name]])
            how = f"{name}:signal=KILL:when={generator.randint(1, made[name] * 4 // 5 + 1)}"  # Not past the end.
        else:
            name, fault = generator.choice([(name, fault) for name, fault in FAILED if made[name]])
            how = f"{name}:error={fault}:when={generator.randint(1, made[name])}"
        lab = ready(laboratory)
        status = traced(lab, "-e", f"trace={name}", "-e", f"inject={how}")
        outcomes["killed" if status in (-9, 137) else "failed" if status else "survived"] += 1
        assert status in (-9, 137, 0, 1, 75), f"{how}: {status} {lab.errors()}"
        lab.settle()
        assert broken_invariants(lab, expected) == [], how
        assert outcome(lab, expected) == "once", how
        lab.destroy()
    return outcomes


def test_killed_or_failed_at_any_system_call_the_program_makes_it_good(laboratory, expected):
    outcomes = inject(laboratory, expected, int(os.environ.get("INBOX_AGENT_STRACE_SAMPLE", "8")), SEED)
    assert outcomes["killed"] > 0


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_killed_or_failed_at_two_hundred_system_calls_the_program_makes_it_good(laboratory, expected):
    outcomes = inject(laboratory, expected, 200, DRAWN)
    if table := os.environ.get("INBOX_AGENT_CRASH_TABLE"):
        with Path(table).open("a") as file:
            file.write(f"strace: {dict(outcomes)}, seed {DRAWN}\n")
    assert outcomes["killed"] > 50
