"""A second look at a person's mail: does it look like the applications that were labelled? It decides nothing alone.

The rules ask one question after the other, so that one wrong answer leads astray; this weighs everything that was found
at once (logistic regression). Where both agree nothing happens; where they flatly contradict each other, a person
looks. Fitted by tests/fit_second_look.py, never while the agent runs. Measured over messages that it had not seen
(8-fold, 1,619 of them): 7 applications in 930 are handed to a person for nothing; of 17 wrong acknowledgements that an
exam had found, it stopped 10.
"""

from __future__ import annotations

import dataclasses
from math import exp
from typing import TYPE_CHECKING

from inbox_agent import verdict
from inbox_agent.application import Evidence, Kind
from inbox_agent.pieces import BODY_PART
from inbox_agent.rules import Place

if TYPE_CHECKING:
    from inbox_agent.rules import SecondLook
    from inbox_agent.sight import Sight
    from inbox_agent.verdict import Verdict

_CANDIDATES = (Kind.APPLICATION, Kind.FOLLOW_UP, Kind.WITHDRAWAL)
_OTHERS = (Kind.OTHER, Kind.ENQUIRY)


def reconsider(found: Verdict, sight: Sight, look: SecondLook) -> Verdict:
    """The verdict, or a doubt where everything that was found at once says the contrary."""
    if found.kind is Kind.FOLLOW_UP and not sight.papers:
        return found  # Nothing is acknowledged, and decide.py asks whose application it would be.
    likeness = likeness_of(sight, look)
    shown = Evidence("second_look", f"ressemble à une candidature : {likeness:.0%}", round(2 * likeness - 1, 1))
    if found.kind in _CANDIDATES and likeness < look.unlike:
        reason = "ressemble peu aux candidatures que nous connaissons"
    elif found.kind in _OTHERS and likeness > look.alike:
        reason = "ressemble beaucoup à une candidature"
    else:
        return found
    doubtful = verdict.doubt(reason, "second_look", *found.because)
    return dataclasses.replace(doubtful, evidence=(shown, *found.evidence), notes=found.notes)


def likeness_of(sight: Sight, look: SecondLook) -> float:
    """How probable it is, by the labelled messages, that a candidate writes about a candidature."""
    logits = look.start + sum(look.weights.get(finding, 0.0) for finding in findings(sight))
    return 1.0 / (1.0 + exp(-logits))


def findings(sight: Sight) -> frozenset[str]:
    """Everything that is looked at, each by a name."""
    cues = {f"cue.{cue}" for cue in sight.hits}
    subject = {f"subject.{cue}" for cue, hit in sight.hits.items() if Place.SUBJECT in hit.places}
    pieces = {f"{_place(piece.document.part)}.{piece.document.kind.value}" for piece in sight.pieces}
    facts = {
        "fact.no_document": not sight.attached,
        "fact.answers": sight.answers,
        "fact.question": sight.question,
        "fact.we": sight.we,
        "fact.for_oneself": sight.for_oneself,
        "fact.institution": sight.institution,
        "fact.private_sender": sight.private_sender,
        "fact.familiar": sight.familiar,
        "fact.trade_in_subject": bool(sight.trade_in_subject),
        "fact.says_trade": bool(sight.says_trade),
        "fact.own_cv": sight.own_cv,
        "fact.names_offer": sight.names_offer,
        "fact.other_goal": bool(sight.other_goal),
        "fact.others_cv": sight.others_cv,
        "fact.several_owners": sight.several_owners,
    }
    recipients = {f"recipient.{shown.test}" for shown in sight.recipients}
    return frozenset(cues | subject | pieces | recipients | {name for name, holds in facts.items() if holds})


def _place(part: str) -> str:
    return "body" if part == BODY_PART else "attached"
