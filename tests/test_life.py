"""Candidates write, staff move mail, time passes, the agent crashes: whatever the order, the promises hold.

A state machine over the whole agent. On pymap in every run, on Dovecot where it is installed.
"""

from __future__ import annotations

import itertools
import re
import tempfile
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from inbox_agent import failpoint
from inbox_agent.fsck import fsck

from association import SECOND_OFFER, association, candidature
from making import eml
from test_corrections import COMPLETE, DOUBT, INCOMPLETE, LATE, doubtful, run

if TYPE_CHECKING:
    from association import Association
    from servers.dovecot import Dovecot

FOLDERS = (COMPLETE, INCOMPLETE, LATE, f"Candidatures/{SECOND_OFFER}/Complètes", "INBOX", DOUBT, "Divers")
NAMES = ("Paul Morin", "Jeanne Petit", "Anne Roux", "Yves Blanc", "Lucie Faure", "Karim Benali", "Nadia Colin")
FIRST_REPLIES = frozenset({"complete", "incomplete", "late"})


class Killed(BaseException):
    """The process ends here."""


class Life(RuleBasedStateMachine):
    """The model: which messages there are, of whom, and where staff put one with their own hands last."""

    dovecot: ClassVar[Dovecot | None] = None
    sent = Bundle("sent")
    incomplete = Bundle("incomplete")

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.asso: Association = self.stack.enter_context(association(self.folder, dovecot=self.dovecot))
        self.count = 0
        self.author: dict[str, str] = {}
        self.by_hand: dict[str, str] = {}
        self.perhaps_unseen: set[str] = set()

    def teardown(self) -> None:
        try:
            # Two polls later nothing is under way any more.
            self.poll()
            self.poll()
            self.everything_is_settled()
        finally:
            self.stack.close()

    def message_id(self, author: str) -> str:
        self.count += 1
        identifier = f"<m{self.count}@example.org>"
        self.author[identifier] = author
        return identifier

    # Candidates.

    @initialize()
    def first_poll(self) -> None:
        self.asso.run_pass()

    @rule(target=sent, name=st.sampled_from(NAMES))
    def a_complete_application(self, name: str) -> str:
        identifier = self.message_id(name)
        self.asso.deliver(candidature(name, message_id=identifier))
        return identifier

    @rule(target=incomplete, name=st.sampled_from(NAMES))
    def a_cv_alone(self, name: str) -> tuple[str, str]:
        identifier = self.message_id(name)
        self.asso.deliver(candidature(name, bring=("cv",), message_id=identifier))
        return identifier, name

    @rule(target=sent, first=consumes(incomplete))
    def the_missing_letter(self, first: tuple[str, str]) -> str:
        answered, name = first
        identifier = self.message_id(name)
        text = f"Bonjour,\n\nVoici la lettre de motivation oubliée.\n\n{name}\n"
        self.asso.deliver(
            candidature(
                name, bring=("letter",), text=text, subject="Re: Candidature", answers=answered, message_id=identifier
            )
        )
        return identifier

    @rule(target=sent)
    def a_doubtful_message(self) -> str:
        identifier = self.message_id(f"doubt{self.count}")
        self.asso.deliver(doubtful(identifier, f"lucie{self.count}@example.org"))
        return identifier

    @rule(target=sent)
    def another_mail(self) -> str:
        identifier = self.message_id(f"other{self.count}")
        self.asso.deliver(
            eml(
                from_="Imprimerie <contact@imprimerie.example>",
                subject="Facture",
                text="Bonjour, veuillez trouver ci-joint notre facture du mois.\n",
                message_id=identifier,
            )
        )
        return identifier

    # Staff.

    @rule(identifier=sent, folder=st.sampled_from(FOLDERS))
    def staff_move(self, identifier: str, folder: str) -> None:
        if self.asso.where(identifier) in ([], [folder]):
            return
        if self.asso.where(identifier) == ["INBOX"] and folder == "Divers":
            # The agent has never had it in hand, if it did not poll since.
            self.perhaps_unseen.add(identifier)
        self.asso.move(identifier, folder)
        # The latest word stands: what is said of one message is said of its whole application.
        for other in [other for other in self.by_hand if self.author[other] == self.author[identifier]]:
            del self.by_hand[other]
        self.by_hand[identifier] = folder

    @rule(number=st.integers(1, 12), word=st.sampled_from(["yes", "no", "late", "complete", "answer"]))
    def staff_say(self, number: int, word: str) -> None:
        status, _ = run(self.asso, "correct", str(number), word)
        if status == 0:
            self.by_hand.clear()

    # The world.

    @rule(minutes=st.sampled_from([1, 10, 240]))
    def time_passes(self, minutes: int) -> None:
        self.asso.clock.later(minutes=minutes)

    @rule()
    def the_agent_crashes(self) -> None:
        self.asso.reopen()

    @rule(point=st.integers(1, 80))
    def the_agent_dies_in_the_middle_of_a_poll(self, point: int) -> None:
        """At the n-th commit, rename or network call: as kill -9 does, but for what the kernel has already."""
        with pytest.MonkeyPatch.context() as patched:
            reached = itertools.count(1)

            def die(_name: str) -> None:
                if next(reached) == point:
                    raise Killed

            patched.setattr(failpoint, "_PLAN", "on")
            patched.setattr(failpoint, "_pass", die)
            with suppress(Killed):
                self.asso.run_pass()
        self.asso.reopen()

    @rule()
    def poll(self) -> None:
        self.asso.run_pass()
        self.asso.run_pass()
        for _ in range(8):
            if self.asso.journal.next_work() is None:
                break
            # A reply of which nobody knows whether it left waits for evidence first.
            self.asso.clock.later(minutes=20)
            self.asso.run_pass()
        self.everything_is_settled()

    # The promises.

    @invariant()
    def nobody_is_answered_twice(self) -> None:
        said = Counter()
        # One that went twice in SMTP's window is the same mail, with one Message-ID.
        for octets, recipients in {(mail.octets, mail.recipients) for mail in self.asso.replies}:
            template = re.search(rb"^Message-ID:\s+<(\w+)\.", octets, re.MULTILINE)[1].decode()
            said[recipients, "first" if template in FIRST_REPLIES else template] += 1
        written = Counter(f"{author}" for author in self.author.values())
        for (recipients, kind), count in said.items():
            allowed = 2 if kind == "first" and len(written) else 1  # Two offers are two applications.
            assert count <= allowed, (recipients, kind, count)

    def everything_is_settled(self) -> None:
        there = self.asso.folders()
        places = {
            identifier: [name for name, ids in there.items() for one in ids if one == identifier]
            for identifier in self.author
        }
        lost = [identifier for identifier, found in places.items() if len(found) != 1]
        assert not lost, {identifier: places[identifier] for identifier in lost}
        moved = {
            identifier: places[identifier][0]
            for identifier, folder in self.by_hand.items()
            if places[identifier] != [folder]
        }
        assert not moved, f"staff put them elsewhere: {moved}, {self.by_hand}"
        ledger = self.asso.journal.ledger()
        assert ledger.balances
        assert (ledger.pending, ledger.quarantined) == (0, 0)
        assert len(self.author) - len(self.perhaps_unseen) <= ledger.messages <= len(self.author)
        flaws = fsck(self.asso.installation, lambda _done, _all: None)
        assert not flaws, flaws


LIFE = settings(
    max_examples=6,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)


@pytest.mark.timeout(300)
def test_the_promises_hold_whatever_the_order():
    run_state_machine_as_test(Life, settings=LIFE)


@pytest.mark.real
@pytest.mark.timeout(600)
def test_the_promises_hold_on_dovecot_too(dovecot):
    machine = type("LifeOnDovecot", (Life,), {"dovecot": dovecot})
    run_state_machine_as_test(machine, settings=settings(LIFE, max_examples=4))


@pytest.mark.real
def test_renumbered_folders_lose_nothing(dovecot, tmp_path):
    with association(tmp_path, dovecot=dovecot) as asso:
        asso.deliver(candidature(message_id="<1@example.org>"))
        asso.deliver(candidature("Paul Morin", message_id="<2@example.org>"))
        asso.deliver(doubtful())
        asso.run_pass()
        asso.reopen()
        dovecot.renumber(asso.user)
        for path in dovecot.maildir(asso.user).glob(".*/dovecot*"):
            path.unlink()
        asso.run_pass()
        assert asso.journal.ledger().filed == 2

        asso.move("<1@example.org>", LATE)
        asso.move("<doute@example.org>", "INBOX")
        asso.run_pass()
        asso.run_pass()

        assert asso.where("<1@example.org>") == [LATE]
        assert asso.where("<2@example.org>") == [COMPLETE]
        assert asso.where("<doute@example.org>") == ["INBOX"]
        ledger = asso.journal.ledger()
        assert (ledger.messages, ledger.filed, ledger.doubt, ledger.left) == (3, 2, 0, 1)
        assert asso.reply_templates == ["complete", "complete"]
        assert fsck(asso.installation, lambda _done, _all: None) == ()
