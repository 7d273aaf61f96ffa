"""The second look makes a person look where it contradicts the rules flatly, and does nothing else."""

from __future__ import annotations

import dataclasses

import pytest
from inbox_agent.application import Kind
from inbox_agent.errors import ConfigError
from inbox_agent.offer import Staff
from inbox_agent.offers import load_offers
from inbox_agent.read import read
from inbox_agent.rules import SecondLook, load_rules, load_second_look
from inbox_agent.shipped import shipped

DEMO = shipped("inbox_agent") / "demo_messages"
RULES = load_rules(shipped("rules"))
OFFERS = load_offers(shipped("rules"))
AGAINST, FOR = SecondLook(-9.0, {}, 0.15, 0.85), SecondLook(9.0, {}, 0.15, 0.85)


def read_with(look: SecondLook, name: str):
    (path,) = DEMO.glob(f"{name}-*.eml")
    return read(path.read_bytes(), dataclasses.replace(RULES, second_look=look), OFFERS, Staff.of(OFFERS))


def test_an_application_that_looks_like_none_is_for_a_person():
    reading = read_with(AGAINST, "01")
    assert reading.kind is Kind.DOUBT
    assert reading.doubt is not None
    assert reading.evidence[0].test == "second_look"
    assert reading.documents  # Nothing of it is lost.


def test_other_mail_that_looks_like_an_application_is_for_a_person_and_is_never_made_one():
    assert read_with(FOR, "06").kind is Kind.DOUBT


@pytest.mark.parametrize(("look", "name", "kind"), [(FOR, "01", Kind.APPLICATION), (AGAINST, "06", Kind.OTHER)])
def test_where_both_agree_nothing_is_said_of_it(look, name, kind):
    reading = read_with(look, name)
    assert reading.kind is kind
    assert all(shown.test != "second_look" for shown in reading.evidence)


def test_what_machines_send_is_not_looked_at_again():
    assert read_with(FOR, "07").kind is Kind.AUTOMATIC


def test_every_weight_is_of_something_that_can_be_found():
    cues = set(RULES.recognition.cues)
    named = {name.partition(".")[2] for name in RULES.second_look.weights if name.startswith(("cue.", "subject."))}
    assert named <= cues
    assert len(named) > 40


def test_a_file_that_was_spoilt_is_named_with_the_remedy(tmp_path):
    spoilt = tmp_path / "second_look.toml"
    spoilt.write_text('[limits]\nunlike = "low"\n')
    with pytest.raises(ConfigError, match=r"second_look\.toml.*Remove it"):
        load_second_look(spoilt)
