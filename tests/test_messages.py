"""How good the shipped rules are on the labelled messages.

They were written in rounds; every round was measured before anybody looked at its misses, then read and mended, and
new ones measure again. Rounds made to mislead were right in 55 to 76 % at first sight, those of every day in 95 %.
Five batches by an examiner who had not read the rules (200 messages): application or not 95 to 97.5 %, kind 90 to
97.5 %; then 250 held back to the end: 97.2 and 92.2 % of the ordinary ones; then nine batches of 40 by two examiners,
scored blind before the second look read words: 96.4 and 91.1 %, of the ordinary ones 98.7 and 95.2 %. With it, a
month of an everyday mailbox by another examiner (120): 99.2 and 98.3 %; the latest, 240 held back to the end: 98.3 and
96.2 %, of the ordinary ones 98.9 and 97.2 %. Mails that chase, complete and ask without their history (120) stay the
hardest: kind 86.7 %.
A third of the set, chosen by the hash of its names alone, is still judged apart.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from inbox_agent.decide import Policy, decide
from inbox_agent.decision import History
from inbox_agent.errors import ConfigError
from inbox_agent.evaluate import Evaluation, evaluate, report
from inbox_agent.explain import decision_json
from inbox_agent.offer import Staff
from inbox_agent.offers import load_offers
from inbox_agent.read import read
from inbox_agent.rules import load_rules
from inbox_agent.shipped import shipped

MESSAGES = Path(__file__).parent / "messages"
sys.path.insert(0, str(MESSAGES))


def held_apart(name: str) -> bool:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 3 == 0


@cache
def evaluation() -> Evaluation:
    return evaluate(MESSAGES, explainer())


def explainer(folder=MESSAGES / "rules"):
    rules, offers = load_rules(shipped("rules")), load_offers(folder)
    policy = Policy(offers, Staff.of(offers))

    def explain(path):
        reading = read(path.read_bytes(), rules, policy.offers, policy.staff)
        received = reading.received or reading.date or datetime.now(UTC)
        return decision_json(path.name, decide(reading, received, History(), policy))

    return explain


def part(*, held: bool) -> Evaluation:
    return Evaluation(tuple(case for case in evaluation().cases if held_apart(case.name) is held))


def test_the_set_is_large_and_varied():
    shapes = {path.stem for path in (MESSAGES / "scenarios").glob("*.txt")}

    assert len(evaluation().cases) >= 250
    assert len(shapes) >= 40
    assert {case.expected["kind"] for case in evaluation().cases} == {
        "application", "follow_up", "enquiry", "withdrawal", "automatic", "bulk", "internal", "other", "doubt",
    }  # fmt: skip


def test_nothing_but_applications_is_answered():
    assert evaluation().wrongly_answered == ()


def test_no_application_is_judged_as_anything_else():
    assert evaluation().lost == ()


@pytest.mark.parametrize(("held", "kind", "application"), [(False, 0.97, 0.99), (True, 0.97, 0.99)])
def test_kinds_are_right(held, kind, application):
    some = part(held=held)

    assert some.share("kind") >= kind, report(some)
    assert some.share("application or not") >= application


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize(
    ("measure", "least"),
    [
        ("offer", 0.97),
        ("documents", 0.97),
        ("missing", 0.98),
        ("timing", 0.97),
        ("address", 0.97),
        ("name", 0.97),
        ("reply", 0.97),
    ],
)
def test_the_rest_is_right(held, measure, least):
    assert part(held=held).share(measure) >= least


def test_the_messages_are_what_the_scenarios_make():
    import make  # noqa: PLC0415 it lies in the folder that was put on the path above

    everything = {scenario.name: scenario for scenario in make.scenarios()}

    assert {path.stem for path in MESSAGES.glob("*.eml")} == set(everything)
    for name in ("complete-tours", "forward-attached-secretary", "bounce-exchange-french"):
        label = (MESSAGES / f"{name}.json").read_text(encoding="utf-8")
        assert make.json.loads(label) == make.expected_of(everything[name])


def test_a_report_names_every_miss_and_the_confusion(tmp_path):
    shutil.copy(MESSAGES / "complete-tours.eml", tmp_path)
    (tmp_path / "complete-tours.json").write_text('{"kind": "other", "reply": null}', encoding="utf-8")

    said = report(evaluate(tmp_path, explainer()))

    assert "kind                    0.0 %" in said
    assert 'kind: expected "other", found "application"' in said
    assert "replies to what is no application: complete-tours" in said


def test_a_label_of_another_shape_is_named_and_what_is_left_out_is_not_judged(tmp_path):
    message = (MESSAGES / "advert-fair.eml").read_bytes()
    for name, label in (("a", {"candidate": {"name": None}}), ("b", {"missing": "cv"}), ("c", {"documents": ["cv"]})):
        (tmp_path / f"{name}.eml").write_bytes(message)
        (tmp_path / f"{name}.json").write_text(json.dumps({"kind": "bulk", **label}))
    with pytest.raises(ConfigError) as raised:
        evaluate(tmp_path, explainer())
    assert [fault.place for fault in raised.value.faults] == ["missing", "documents"]


def test_every_label_that_cannot_be_read_is_reported(tmp_path):
    for name in ("a", "b"):
        shutil.copy(MESSAGES / "complete-tours.eml", tmp_path / f"{name}.eml")
        (tmp_path / f"{name}.json").write_text('{"kind": "aplication"}', encoding="utf-8")

    with pytest.raises(ConfigError) as raised:
        evaluate(tmp_path, explainer())

    assert len(raised.value.faults) == 2
