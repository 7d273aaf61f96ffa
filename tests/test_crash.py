"""kill -9 at every named point of a pass, a restart, and the invariants of docs/reliability.md.

A normal run takes a sample, always the same one (INBOX_AGENT_CRASH_SAMPLE, default 20; another by INBOX_AGENT_SEED);
`-m soak` takes every point and every hit, of those that INBOX_AGENT_CRASH_POINTS (a regular expression) finds.
INBOX_AGENT_CRASH_TABLE=FILE appends what became of the replies.
"""

from __future__ import annotations

import os
import random
import re
import socket
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from laboratory import DRAWN, SCENARIOS, SEED, broken_invariants, end_state, outcome, samples

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

SAMPLE = int(os.environ.get("INBOX_AGENT_CRASH_SAMPLE", "20"))
POINTS = os.environ.get("INBOX_AGENT_CRASH_POINTS", "")
# The passes that are killed, and how many seconds after the delivery they are.
PASSES = {"first": 0, "second": 61}
PROVEN = ("the server keeps Sent", "a blind copy")


def reference(laboratory, scenario: str) -> tuple[list[str], object]:
    """An undisturbed run: the points of its first two passes, with their hits, and its end state.

    The second one, a minute later, meets what the first one's replies left: copies, and Sent.
    """
    lab = laboratory(scenario)
    lab.learn_what_the_server_keeps()
    lab.deliver(*samples())
    points = []
    for number, ahead in PASSES.items():
        log = lab.folder / f"points-{number}.log"
        assert lab.once(log=str(log), ahead=ahead) == 0, lab.errors()
        hits = Counter(log.read_text().split())
        points += [f"{number} {name}:{hit}" for name, count in sorted(hits.items()) for hit in range(1, count + 1)]
    lab.settle()
    state = end_state(lab)
    assert broken_invariants(lab, state) == []
    assert lab.uncertain() == 0
    return points, state


def chosen(points: list[str], count: int, generator: random.Random) -> list[str]:
    """Names first, so that a small sample still meets many of them."""
    names: dict[str, list[str]] = {}
    for point in points:
        names.setdefault(point.partition(":")[0], []).append(point)
    some = generator.sample(sorted(names), min(count, len(names)))
    return [generator.choice(names[name]) for name in some]


def crash(laboratory, scenario: str, point: str, expected, again: str | None) -> tuple[str, list[str]]:
    """One run that is killed at `point`, and perhaps once more while it recovers; its outcome and what broke."""
    lab = laboratory(scenario)
    lab.learn_what_the_server_keeps()
    lab.deliver(*samples())
    number, _, where = point.partition(" ")
    if number == "second":
        assert lab.once() == 0, lab.errors()
    status = lab.once(failpoint=f"{where}:kill", ahead=PASSES[number])
    if status not in (-9, 0):
        return "failed", [f"status {status} at {point}: {lab.errors()}"]
    lab.sink.rest()
    if again is not None:
        lab.once(failpoint=f"{again.partition(' ')[2]}:kill", ahead=PASSES[number])
        lab.sink.rest()
    lab.settle()
    broken = broken_invariants(lab, expected) + not_kept(lab, scenario)
    if lab.uncertain() and not lab.digest_tells_of_uncertain():
        broken.append("I7 an uncertain reply is not in the digest")
    if broken:
        broken.append(lab.errors())
    found = outcome(lab, expected)
    lab.destroy()
    return found, broken


def not_kept(lab, scenario: str) -> list[str]:
    """Where the server or a blind copy puts replies into Sent, each lies there once, and none elsewhere."""
    if scenario not in PROVEN:
        return []
    assert lab.once(ahead=20_000) == 0, lab.errors()  # For the copies of what was sent last.
    there = lab.mailbox()
    ours, kept = {mail.sha256 for mail in lab.delivered}, len(there.get("Envoi", ()))
    strays = [name for name, mails in there.items() for digest, _ in mails if name != "Envoi" and digest not in ours]
    return [] if kept == len(lab.sink.accepted) and not strays else [f"Sent: {kept}, {len(lab.sink.accepted)} {strays}"]


def run_all(laboratory, scenario: str, count: int | None) -> Counter[str]:
    """A sample of so many names, or every point."""
    seed = SEED if count is not None else DRAWN
    generator = random.Random(seed)  # noqa: S311 # A sample, no secret.
    points, expected = reference(laboratory, scenario)
    points = [point for point in points if re.search(POINTS, point)]
    outcomes: Counter[str] = Counter()
    failures = []
    for number, point in enumerate(points if count is None else chosen(points, count, generator)):
        again = generator.choice(points) if number % 3 == 2 else None
        try:
            found, broken = crash(laboratory, scenario, point, expected, again)
        except AssertionError as error:  # The other points are run nevertheless.
            found, broken = "failed", [str(error)]
        outcomes[found] += 1
        if broken:
            failures.append((point, again, broken))
        if found != "once":
            outcomes[f"{found} at {point.partition(':')[0]}"] += 1
    line = f"{scenario}: {len(points)} points, {dict(outcomes)}, {len(failures)} broken, seed {seed}"
    if table := os.environ.get("INBOX_AGENT_CRASH_TABLE"):
        with Path(table).open("a") as file:
            file.write(line + "\n" + "".join(f"  {failure}\n" for failure in failures))
    assert not failures, failures[:3]
    return outcomes


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_after_a_kill_anywhere_nothing_is_lost_and_nothing_said_twice(laboratory, scenario):
    outcomes = run_all(laboratory, scenario, max(1, SAMPLE // len(SCENARIOS)))
    if scenario in PROVEN:
        assert outcomes["twice"] == outcomes["uncertain"] == 0
    if scenario == "no evidence, ask":
        assert outcomes["twice"] == 0


@pytest.mark.parametrize("point", ["send.dot.before:2", "smtp.dot.after:1", "send.after:2", "commit.sent.before:1"])
def test_by_postfix_a_blind_copy_ends_every_doubt(laboratory, postfix, point):
    """Nothing is simulated: Postfix takes the reply, brings the copy by LMTP, and bounces what it cannot deliver."""
    lab = laboratory(
        "a blind copy",
        user="director@lab.test",
        password="dirpw",
        organisation="director@lab.test",
        smtp_port=postfix.submission,
        submission=f'tls = "starttls"\nca_file = "{postfix.ca_file}"\nuser = "director@lab.test"\n'
        'password = { file = "password" }',
    )
    lab.empty_inbox()
    # Postfix delivers to anybody at fresh.test.
    for mail in samples("01", "03", "06"):
        address = rb"\1.%b@fresh.test" % point.partition(":")[0].encode()
        octets = re.sub(rb"(claire\.lefevre|thomas\.moreau)@example\.org", address, mail.octets)
        lab.deliver(replace(mail, octets=octets))
    assert lab.once(failpoint=f"{point}:kill") == -9, lab.errors()
    postfix.rest()
    lab.settle()
    assert lab.uncertain() == 0
    ours = lab.rows("SELECT mail_id, recipient FROM acts WHERE kind = 'send'")
    assert len(ours) == 2
    postfix.rest()
    assert lab.once(ahead=50_000) == 0, lab.errors()  # The copy of what was sent last.
    for _, recipient in ours:
        delivered = [line for line in postfix.log.splitlines() if f"to=<{recipient}>" in line and "status=sent" in line]
        assert len(delivered) == 1
    with lab.imap() as client:
        client.select_folder("Envoi", readonly=True)
        kept = [len(client.search(["HEADER", "Message-ID", identifier])) for identifier, _ in ours]
    assert kept == [1, 1]


def test_a_blind_copy_that_never_came_back_proves_nothing_by_its_absence(laboratory, sink):
    """A filter takes our copies: the reply was sent, nobody can tell, and it is not sent again."""
    lab = laboratory("a blind copy")
    sink.on_accept = None
    lab.deliver(*samples("01", "03"))
    assert lab.once(failpoint="smtp.dot.after:1:kill") == -9, lab.errors()
    sink.rest()
    lab.settle()
    assert lab.uncertain() == 1
    assert sorted(template for _, template, _ in sink.replies()) == ["complete", "incomplete"]
    assert lab.digest_tells_of_uncertain()


def test_where_copies_stopped_coming_a_reply_is_not_sent_without_end(laboratory, sink):
    lab = laboratory("a blind copy")
    lab.deliver(*samples("01"))
    assert [lab.once(), lab.once()] == [0, 0], lab.errors()
    assert lab.rows("SELECT value FROM facts WHERE name = 'copies_come:direction'") == [("yes",)]
    sink.on_accept = None
    lab.deliver(*samples("03"))
    statuses = [lab.once(failpoint="smtp.dot.after:1:kill", ahead=1000.0 * number) for number in range(12)]
    sink.rest()
    assert statuses.count(-9) == 4  # Sent, and three times more.
    assert len(sink.replies()) == 1 + 4
    assert lab.uncertain() == 1


def test_what_the_tests_server_took_it_brings_also_when_its_client_died(sink):
    """It once forgot a quarter of such copies: that was the duplicate of a blind copy."""
    sink.accepted, brought = [], []
    sink.on_accept = lambda _, octets: brought.append(octets)
    for number in range(50):
        with socket.create_connection(("127.0.0.1", sink.port)) as client, client.makefile("rb") as answers:
            answers.readline()
            for command in (b"HELO x", b"MAIL FROM:<a@lab.test>", b"RCPT TO:<b@lab.test>", b"DATA"):
                client.sendall(command + b"\r\n")
                answers.readline()
            client.sendall(b"Subject: %d\r\n\r\n.\r\n" % number)
        sink.rest()
    assert len(brought) == len(sink.accepted) == 50


@pytest.mark.parametrize(
    "point", ["draft.append.before:1", "draft.append.after:1", "imap.command.after:-4", "commit.done.before:-1"]
)
def test_after_a_kill_every_draft_waits_once(laboratory, point):
    name, _, hit = point.partition(":")
    lab = laboratory()
    lab.config.write_text(lab.config.read_text().replace('mode = "send"', 'mode = "draft"'))
    lab.deliver(*samples("01", "03", "04"))
    if int(hit) < 0:  # Counted from the end, where the drafts are.
        other = laboratory()
        other.config.write_text(other.config.read_text().replace('mode = "send"', 'mode = "draft"'))
        other.deliver(*samples("01", "03", "04"))
        log = other.folder / "points.log"
        assert other.once(log=str(log)) == 0
        hit = str(log.read_text().split().count(name) + int(hit) + 1)
    assert lab.once(failpoint=f"{name}:{hit}:kill") == -9, lab.errors()
    lab.settle()
    drafts = lab.mailbox()["Drafts"]
    assert len(drafts) == len({digest for digest, _ in drafts}) == 3
    assert all(b"\\Draft" in flags for _, flags in drafts)
    assert lab.sink.accepted == []


@pytest.mark.soak
@pytest.mark.timeout(14400)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_after_a_kill_at_every_point_nothing_is_lost_and_nothing_said_twice(laboratory, scenario):
    outcomes = run_all(laboratory, scenario, None)
    if scenario in PROVEN:
        assert outcomes["twice"] == outcomes["uncertain"] == 0
    if scenario == "no evidence, ask":
        assert outcomes["twice"] == 0
