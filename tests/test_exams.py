"""Two exams by people who had not read the rules: 674 messages, arguable labels included.

Blind, the first gave 92.4 % (application or not) and 87 % (kind), the second 95.6 % and 81.5 %; then their misses were
read and mended. What is asked here is that nothing falls back. A third exam of theirs (272 messages) stays outside.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from inbox_agent.evaluate import Evaluation, evaluate

from test_messages import explainer

EXAMS = Path(__file__).parent / "exams"


@cache
def evaluation(exam: str) -> Evaluation:
    return evaluate(EXAMS / exam, explainer(EXAMS / exam / "rules"))


@pytest.mark.parametrize(
    ("exam", "measure", "least"),
    [
        ("first", "application or not", 0.98),
        ("first", "kind", 0.97),
        ("first", "documents", 0.98),
        ("second", "application or not", 0.97),
        ("second", "kind", 0.92),
        ("second", "address", 0.98),
        ("second", "name", 0.97),
    ],
)
def test_nothing_falls_back(exam: str, measure: str, least: float) -> None:
    share = evaluation(exam).share(measure)
    assert share is not None
    assert share >= least


ARGUABLE = {"137"}  # Without papers: its examiner would have taken an enquiry too.


@pytest.mark.parametrize("exam", ["first", "second"])
def test_no_application_is_lost_and_nothing_else_is_answered(exam: str) -> None:
    found = evaluation(exam)
    assert set(found.lost) <= ARGUABLE
    assert found.wrongly_answered == ()
