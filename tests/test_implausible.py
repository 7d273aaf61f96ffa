"""A world that looks wrong: the agent stops, says why, and goes on by itself when it is over; and what people do."""

from __future__ import annotations

import contextlib
import email
import email.policy
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from inbox_agent.errors import EXIT_TRY_AGAIN

from laboratory import DIRECTOR, Mail, broken_invariants, end_state, samples

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


def newsletter(number: int, octets: int = 0) -> Mail:
    """Mail that is no application and stays where it is."""
    text = (
        f"From: Lettre <lettre@example.net>\r\nTo: {DIRECTOR}\r\nSubject: Lettre {number}\r\n"
        f"Message-ID: <lettre-{number}@example.net>\r\nList-Id: <lettre.example.net>\r\n\r\nBonjour {number}\r\n"
    )
    return Mail(f"newsletter-{number}", text.encode() + b"x" * octets, 3)


def trouble(lab) -> str:
    return lab.rows("SELECT COALESCE(trouble, '') FROM mailboxes")[0][0]


def digest_text(lab) -> str:
    before = len(lab.sink.accepted)
    assert lab.once(digest=True, ahead=90000) == 0, lab.errors()
    return lab.texts_since(before)


# --- the world ----------------------------------------------------------------------------------------


def test_a_mailbox_that_is_suddenly_empty_stops_the_agent_until_there_is_mail(laboratory):
    lab = laboratory()
    lab.deliver(*(newsletter(number) for number in range(12)))
    assert lab.once() == 0, lab.errors()
    lab.empty_inbox()
    assert lab.once() == EXIT_TRY_AGAIN
    assert "12 messages" in trouble(lab)
    assert "is empty now" in trouble(lab)
    lab.deliver(newsletter(99))
    assert lab.once() == 0, lab.errors()
    assert trouble(lab) == ""


def test_a_mailbox_that_the_agent_emptied_itself_is_no_alarm(laboratory):
    lab = laboratory()
    lab.deliver(*(replace(samples("01")[0], octets=_from(number)) for number in range(11)))
    assert lab.once() == 0, lab.errors()
    assert "INBOX" not in lab.mailbox()
    assert lab.once() == 0, lab.errors()


def _from(number: int) -> bytes:
    octets = samples("03")[0].octets
    return octets.replace(b"thomas.moreau@", b"candidat%d@" % number).replace(b"<demo-03@", b"<demo-03-%d@" % number)


def test_a_clock_before_the_last_run_stops_the_agent(laboratory):
    lab = laboratory()
    lab.deliver(*samples("01"))
    assert lab.once(ahead=7200) == 0, lab.errors()
    lab.deliver(*samples("11"))
    assert lab.once() == EXIT_TRY_AGAIN
    assert "Set the clock" in trouble(lab)
    assert lab.once(ahead=7300) == 0, lab.errors()
    assert len(lab.sink.replies()) == 2


@pytest.mark.parametrize("how", ["missing", "a file in its place"])
def test_without_the_archive_nothing_is_moved_or_answered(laboratory, how):
    lab = laboratory()
    archive, away = lab.folder / "archive", lab.folder / "away"
    archive.rename(away)
    if how != "missing":
        archive.write_text("not mounted")
    lab.deliver(*samples("01"))
    assert lab.once() != 0
    assert str(archive) in trouble(lab)
    assert lab.sink.replies() == []
    assert list(lab.mailbox()) == ["INBOX"]
    archive.unlink(missing_ok=True)
    away.rename(archive)
    assert lab.once() == 0, lab.errors()
    assert len(lab.sink.replies()) == 1
    assert trouble(lab) == ""


def test_a_read_only_archive_stops_the_agent(laboratory):
    if os.geteuid() != 0:
        pytest.skip("mounting wants root")
    lab = laboratory()
    archive = lab.folder / "archive"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=900m", "proof", archive], check=True)
    try:
        lab.deliver(*samples("01"))
        assert lab.once() != 0
        assert "read-write" in trouble(lab)
        assert list(lab.mailbox()) == ["INBOX"]
        subprocess.run(["mount", "-o", "remount,rw", archive], check=True)
        assert lab.once() == 0, lab.errors()
        assert len(lab.archive()) == 3
    finally:
        subprocess.run(["umount", archive], check=True)


def test_a_nearly_full_archive_stops_the_agent_and_it_goes_on_when_there_is_room(laboratory):
    if os.geteuid() != 0:
        pytest.skip("mounting wants root")
    lab = laboratory()  # The largest message is 2 MB, so 6 MB must be free.
    archive = lab.folder / "archive"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "proof", archive], check=True)
    try:
        lab.deliver(*samples("01"))
        assert lab.once() == EXIT_TRY_AGAIN
        assert "Free some space" in trouble(lab)
        assert list(lab.mailbox()) == ["INBOX"]
        subprocess.run(["mount", "-o", "remount,size=64m", archive], check=True)
        assert lab.once() == 0, lab.errors()
        assert len(lab.sink.replies()) == 1
    finally:
        subprocess.run(["umount", archive], check=True)


@pytest.mark.parametrize("what", ["archive", "state"])
def test_a_full_disk_reaches_a_person_by_mail(laboratory, what):
    if os.geteuid() != 0:
        pytest.skip("mounting wants root")
    lab = laboratory()
    with lab.config.open("a") as config:
        config.write('[alerts]\nto = ["operator@example.org"]\n')
    disk = lab.folder / what
    disk.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "disk", disk], check=True)
    service = subprocess.Popen([sys.executable, "-m", "inbox_agent", "run", "--config", lab.config])
    try:
        until(lambda: lab.rows("SELECT polled_at FROM mailboxes WHERE polled_at IS NOT NULL"))
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        lab.deliver(*samples("01"))
        until(lambda: mails_to(lab, "operator@example.org"))

        told = email.message_from_bytes(mails_to(lab, "operator@example.org")[0], policy=email.policy.default)
        assert "L’agent s’est arrêté par prudence" in told["Subject"]
        assert re.search("Free some space|Look at the disk", told.get_content())
        assert list(lab.mailbox()) == ["INBOX"]
        (disk / "filler").unlink()
        until(lambda: [template for _, template, _ in lab.sink.replies() if template != "alert"] == ["complete"])
        until(lambda: any("Rétabli" in str(subject(octets)) for octets in mails_to(lab, "operator@example.org")))
    finally:
        service.terminate()
        service.wait()
        subprocess.run(["umount", "--lazy", disk], check=True)


def mails_to(lab, recipient: str) -> list[bytes]:
    return [octets for recipients, octets in lab.sink.accepted if recipients == (recipient,)]


def subject(octets: bytes) -> str:
    return email.message_from_bytes(octets, policy=email.policy.default)["Subject"]


def until(true, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(sqlite3.OperationalError):  # The store is being made.
            if true():
                return
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_the_digest_goes_out_although_the_archive_is_away_and_says_so(laboratory):
    lab = laboratory()
    lab.deliver(*samples("01"))
    assert lab.once() == 0, lab.errors()
    (lab.folder / "archive").rename(lab.folder / "away")
    before = len(lab.sink.accepted)
    assert lab.once(poll=True, digest=True, ahead=90000) == 0, lab.errors()
    assert "archive" in lab.texts_since(before)


# --- renumbered ---------------------------------------------------------------------------------------


def test_a_renumbered_mailbox_is_neither_answered_nor_filed_again(laboratory, dovecot):
    lab = laboratory()
    lab.deliver(*samples(), newsletter(1), newsletter(200, 50))
    assert lab.once() == 0, lab.errors()
    lab.settle()
    before = end_state(lab)
    dovecot.renumber(lab.user)
    log = lab.folder / "points.log"
    assert lab.once(log=str(log)) == 0, lab.errors()
    assert broken_invariants(lab, before) == []
    # Size and date prove that all of them are known: nothing is fetched again.
    assert "fetch.before" not in log.read_text().split()


@pytest.mark.parametrize(
    "point", ["commit.receive.after:1", "commit.record.after:1", "move.before:1", "commit.recognise.after:1"]
)
def test_a_mailbox_renumbered_after_a_crash_loses_nothing(laboratory, dovecot, point):
    reference = laboratory()
    reference.deliver(*samples())
    reference.once()
    reference.settle()
    expected = end_state(reference)
    lab = laboratory()
    lab.deliver(*samples())
    if point.startswith("commit.recognise"):
        assert lab.once(failpoint="commit.record.after:1:kill") == -9
        dovecot.renumber(lab.user)
    assert lab.once(failpoint=f"{point}:kill") == -9
    dovecot.renumber(lab.user)
    lab.settle()
    assert broken_invariants(lab, expected) == []


def test_after_a_renumbering_old_mail_stays_out_of_scope(laboratory, dovecot):
    lab = laboratory()
    lab.config.write_text(lab.config.read_text().replace('first_run = "all"', 'first_run = "offers"'))
    lab.deliver(replace(samples("01")[0], days_ago=300), *samples("11"))
    assert lab.once() == 0, lab.errors()
    dovecot.renumber(lab.user)
    assert lab.once() == 0, lab.errors()
    assert lab.rows("SELECT COUNT(*) FROM messages") == [(1,)]


# --- people and their mail ----------------------------------------------------------------------------


@pytest.mark.parametrize("deed", ["move", "delete", "read", "flag"])
@pytest.mark.parametrize("point", ["commit.receive.after:1", "commit.record.after:1", "commit.done.after:1"])
def test_staff_may_move_delete_or_read_a_message_at_any_moment(laboratory, deed, point):
    lab = laboratory()
    lab.deliver(*samples("01", "11"))
    assert lab.once(failpoint=f"{point}:kill") == -9
    with lab.imap() as client:
        client.select_folder("INBOX")
        first = min(client.search())
        match deed:
            case "move":
                client.create_folder("Personnel")
                client.move([first], "Personnel")
            case "delete":
                client.delete_messages([first])
                client.expunge([first])
            case "read":
                client.add_flags([first], [b"\\Seen"])
            case "flag":
                client.add_flags([first], [b"\\Flagged"])
    lab.settle()
    assert sorted(template for _, template, _ in lab.sink.replies()) == ["complete", "complete"]
    assert len([path for path in lab.archive() if path.endswith("message.eml")]) == 2
    where = {name: [flags for _, flags in mails] for name, mails in lab.mailbox().items()}
    if deed == "move":
        assert where["Personnel"] == [()]
    if deed == "read":
        assert [flags for mails in where.values() for flags in mails if flags == (b"\\Seen",)] != []
    assert "INBOX" not in where


def test_a_message_that_is_too_large_goes_to_a_person_and_is_not_fetched_whole(laboratory):
    lab = laboratory()
    lab.deliver(Mail("huge", samples("01")[0].octets + b"x" * 6 * 2**20, 2), *samples("11"))
    assert lab.once() == 0, lab.errors()
    assert [name for name in lab.mailbox() if name.endswith("rifier")] == ["Candidatures/À vérifier"]
    assert lab.rows("SELECT state, why FROM messages ORDER BY id")[0] == (
        "quarantined",
        f"{len(lab.delivered[0].octets)} octets are more than max_message_mb",
    )
    spooled = sum(path.stat().st_size for path in (lab.folder / "state" / "spool").rglob("*.eml"))
    assert spooled <= 2**20
    assert [template for _, template, _ in lab.sink.replies()] == ["complete"]
    assert "À VÉRIFIER" in digest_text(lab).upper()
    retried = subprocess.run(
        [sys.executable, "-m", "inbox_agent", "quarantine", "--config", lab.config, "--retry", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert retried.returncode == 1
    assert "too large" in retried.stderr


def test_a_message_that_ends_the_agent_three_times_is_quarantined_alone_and_named(laboratory):
    lab = laboratory()
    lab.deliver(*samples("01", "11", "06"))
    for _ in range(3):
        assert lab.once(failpoint="commit.attempt.after:1:kill") == -9
    lab.settle()
    states = lab.rows("SELECT state FROM messages ORDER BY id")
    assert states == [("quarantined",), ("done",), ("done",)]
    assert "Candidatures/À vérifier" in lab.mailbox()
    assert [recipient for recipient, _, _ in lab.sink.replies()] == ["ines.caron@example.org"]
    assert "À VÉRIFIER" in digest_text(lab).upper()


def test_the_same_message_delivered_again_and_again_is_one_application(laboratory):
    lab = laboratory()
    mail = samples("01")[0]
    lab.deliver(mail, mail, replace(mail, octets=b"Received: again\r\n" + mail.octets), mail)
    assert lab.once() == 0, lab.errors()
    lab.deliver(mail)
    assert lab.once() == 0, lab.errors()
    assert len(lab.sink.replies()) == 1
    assert len([path for path in lab.archive() if path.endswith(".eml")]) == 1
    assert "INBOX" not in lab.mailbox()


# --- logins -------------------------------------------------------------------------------------------


def test_a_changed_password_is_told_apart_and_tried_once_in_ten_minutes(laboratory, dovecot):
    lab = laboratory()
    (lab.folder / "password").write_text("wrong")
    before = lab.log_of(dovecot, "auth failed")
    assert lab.once(polls=5, every=100) == 0, lab.errors()
    assert lab.log_of(dovecot, "auth failed") - before == 1
    assert "refuses the login" in trouble(lab)
    assert "a changed password is tried at once" in trouble(lab)
    assert lab.once(polls=2, every=650) == 0, lab.errors()  # A restart changes nothing: the second poll tries.
    assert lab.log_of(dovecot, "auth failed") - before == 2
    (lab.folder / "password").write_text("fresh")
    lab.deliver(*samples("01"))
    assert lab.once(polls=1, every=1) == 0, lab.errors()
    assert trouble(lab) == ""


def test_once_from_cron_tries_a_wrong_password_once_in_ten_minutes_and_reaches_a_person(laboratory, dovecot):
    lab = laboratory()
    told = lab.folder / "told"
    with lab.config.open("a") as config:
        config.write(f"""[alerts]\ncommand = ["sh", "-c", "cat >> {told}; echo ---- >> {told}"]\n""")
    (lab.folder / "password").write_text("wrong")
    before = lab.log_of(dovecot, "auth failed")
    once = [sys.executable, "-m", "inbox_agent", "once", "--config", lab.config]

    first, second = [subprocess.run(once, capture_output=True, text=True, check=False) for _ in range(2)]

    assert (first.returncode, second.returncode) == (1, 1)
    assert "check user and password" in first.stderr
    assert "It is not tried again before" in second.stderr
    assert lab.log_of(dovecot, "auth failed") - before == 1
    assert told.read_text().count("----") == 1
    assert "La boîte direction refuse la connexion" in told.read_text()
    assert "wrong" not in str(lab.rows("SELECT value FROM facts WHERE name = 'refused:direction'"))
    status = subprocess.run([*once[:3], "status", *once[4:]], capture_output=True, text=True, check=False)
    assert "It is not tried again before" in status.stdout

    (lab.folder / "password").write_text("fresh")
    assert subprocess.run(once, capture_output=True, text=True, check=False).returncode == 0
    assert lab.rows("SELECT value FROM facts WHERE name = 'refused:direction'") == [("",)]
    assert "Rétabli" in told.read_text()


def test_the_service_that_waits_for_hints_too_tries_a_wrong_password_once(laboratory, dovecot):
    lab = laboratory()
    lab.config.write_text(lab.config.read_text().replace("idle = false", "idle = true"))
    (lab.folder / "password").write_text("wrong")
    before = lab.log_of(dovecot, "auth failed")
    with subprocess.Popen([sys.executable, "-m", "inbox_agent", "run", "--config", lab.config]) as daemon:
        deadline = time.monotonic() + 100
        while lab.log_of(dovecot, "auth failed") == before and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(8)  # Another poll, and the time in which IDLE would have begun.
        daemon.send_signal(signal.SIGTERM)
    assert daemon.returncode == 0
    assert lab.log_of(dovecot, "auth failed") - before == 1


def test_a_refused_submission_login_does_not_stop_reading_and_is_tried_once_in_ten_minutes(laboratory):
    lab = laboratory()
    lab.deliver(*samples("01", "11"))
    lab.config.write_text(
        lab.config.read_text().replace("answer_seconds", 'user = "x"\npassword = { file = "password" }\nanswer_seconds')
    )
    assert lab.once(polls=3, every=61) == 0, lab.errors()
    assert len(lab.archive()) == 6
    assert lab.rows("SELECT COUNT(*) FROM acts WHERE kind = 'send' AND attempts > 0") == [(1,)]
    assert lab.rows("SELECT value FROM facts WHERE name = 'sending_trouble'")[0][0] != ""
    lab.write_config()
    lab.once(ahead=1000)
    assert len(lab.sink.replies()) == 2
    assert lab.rows("SELECT value FROM facts WHERE name = 'sending_trouble'") == [("",)]


# --- two at once --------------------------------------------------------------------------------------


def test_once_during_run_and_a_second_run_give_way_with_status_75(laboratory):
    lab = laboratory()
    command = [sys.executable, "-m", "inbox_agent"]
    with subprocess.Popen([*command, "run", "--config", lab.config], stderr=subprocess.PIPE, text=True) as daemon:
        try:
            assert any("ready" in line for line in daemon.stderr)
            for verb in ("once", "run"):
                second = subprocess.run(
                    [*command, verb, "--config", lab.config], capture_output=True, text=True, check=False, timeout=60
                )
                assert second.returncode == EXIT_TRY_AGAIN
                assert "another inbox-agent" in second.stderr
            lab.deliver(*samples("01"))
            deadline = time.monotonic() + 120
            while not lab.sink.replies() and time.monotonic() < deadline:
                time.sleep(0.2)
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.stderr.read()
    assert daemon.returncode == 0
    assert len(lab.sink.replies()) == 1


# --- budgets ------------------------------------------------------------------------------------------


def applicants(count: int, address: str = "candidat%d@example.org") -> list[Mail]:
    """So many people with their CV."""
    base = samples("03")[0]
    mails = []
    for number in range(count):
        octets = base.octets.replace(b"thomas.moreau@example.org", (address % number).encode())
        octets = octets.replace(b"MOREAU Thomas", b"MOREAU Thomas%d" % number)
        mails.append(Mail(f"applicant-{number}", octets.replace(b"<demo-03@", b"<demo-03-%d@" % number), 3))
    return mails


def test_more_replies_than_plausible_stop_sending_until_a_person_acts(laboratory):
    lab = laboratory()
    lab.config.write_text(lab.config.read_text().replace('mode = "send"', 'mode = "send"\nper_hour = 3'))
    lab.deliver(*applicants(6))
    assert lab.once() == 0, lab.errors()
    # Those that were written before the fourth wait with it.
    assert lab.sink.replies() == []
    assert len([path for path in lab.archive() if path.endswith("message.eml")]) == 6
    lab.deliver(*samples("11"))
    # The hour is over: the budget alone would answer again.
    assert lab.once(ahead=4000) == 0, lab.errors()
    assert lab.sink.replies() == []
    assert "réponses suspendues" in digest_text(lab)
    resumed = subprocess.run(
        [sys.executable, "-m", "inbox_agent", "outbox", "--resume", "--config", lab.config],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Replies go on" in resumed.stdout
    lab.deliver(*samples("12"))
    assert lab.once(ahead=90100) == 0, lab.errors()
    assert len(lab.sink.replies()) == 4


def test_replies_that_are_written_already_wait_too_when_replies_are_stopped(laboratory):
    lab = laboratory()
    lab.deliver(*samples("01"))
    assert lab.once(failpoint="commit.record.after:1:kill") == -9
    with sqlite3.connect(lab.folder / "state" / "journal.db") as connection:
        connection.execute("INSERT INTO facts VALUES ('replies_stopped', '2024-01-01T00:00:00+00:00')")
    assert lab.once() == 0, lab.errors()
    assert lab.sink.replies() == []
    assert len(lab.archive()) == 3


def test_hundreds_of_replies_that_wait_keep_nothing_else_from_its_turn(laboratory):
    lab = laboratory()
    lab.deliver(*samples("01"))
    assert lab.once() == 0, lab.errors()
    with contextlib.closing(sqlite3.connect(lab.folder / "state" / "journal.db")) as store, store:
        store.execute("INSERT INTO facts VALUES ('replies_stopped', '2024-01-01T00:00:00+00:00')")
        store.executemany(
            "INSERT INTO acts (application_id, kind, key, state, payload, octets, recipient, mail_id, created_at,"
            " next_at) SELECT application_id, kind, ?, 'pending', payload, octets, recipient, ?, created_at, created_at"
            " FROM acts WHERE kind = 'send' LIMIT 1",
            [(f"waiting-{number}", f"<waiting-{number}@example.org>") for number in range(450)],
        )
    lab.deliver(*samples("11"))
    assert lab.once() == 0, lab.errors()
    assert len([path for path in lab.archive() if path.endswith("message.eml")]) == 2
    assert "réponses suspendues" in digest_text(lab)
    assert len(lab.sink.replies()) == 1


def test_two_agents_that_face_each_other_stop_at_one(laboratory):
    lab = laboratory()
    lab.deliver(*samples("03"))
    assert lab.once() == 0, lab.errors()
    ours = lab.sink.accepted[0][1]
    # The other agent answers what we sent, as we would.
    answer = ours.replace(b"Message-ID: <", b"Message-ID: <other.").replace(b"To: ", b"Cc: x@example.org\r\nTo: ")
    for number in range(3):
        lab.deliver(Mail(f"echo-{number}", answer.replace(b"<other.", b"<other%d." % number), 1))
        assert lab.once() == 0, lab.errors()
    assert len(lab.sink.replies()) == 1
