"""The second look tips the scale where the rules hesitate, and makes and unmakes no application alone."""

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
KINDS = RULES.second_look.kinds


def leaning(kind: Kind, how_much: float = 9.0) -> SecondLook:
    """One that takes everything for that kind."""
    start = tuple(how_much if one is kind else 0.0 for one in KINDS)
    return SecondLook(KINDS, start, {})


def read_with(look: SecondLook, octets: bytes):
    return read(octets, dataclasses.replace(RULES, second_look=look), OFFERS, Staff.of(OFFERS))


def demo(name: str) -> bytes:
    (path,) = DEMO.glob(f"{name}-*.eml")
    return path.read_bytes()


def mail(text: str, *, subject: str = "votre message") -> bytes:
    (to, *_) = OFFERS[0].addressed_to
    head = f"From: Alix Rey <alix.rey@gmail.com>\nTo: {to}\nSubject: {subject}\nMessage-ID: <1@gmail.com>\n"
    return f"{head}Content-Type: text/plain; charset=utf-8\n\n{text}\n".encode()


HESITATES = "Bonjour, je vous parlais hier du jury. Je vous laisse faire au mieux. Alix Rey"


def test_an_application_that_looks_like_none_is_for_a_person():
    reading = read_with(leaning(Kind.OTHER), demo("01"))
    assert reading.kind is Kind.DOUBT
    assert reading.doubt is not None
    assert reading.evidence[0].test == "second_look"
    assert reading.documents  # Nothing of it is lost.


def test_other_mail_that_looks_like_an_application_is_for_a_person_and_is_never_made_one():
    assert read_with(leaning(Kind.APPLICATION), demo("06")).kind is Kind.DOUBT


@pytest.mark.parametrize(("name", "kind"), [("01", Kind.APPLICATION), ("06", Kind.OTHER)])
def test_where_both_agree_nothing_is_said_of_it(name, kind):
    reading = read_with(leaning(kind), demo(name))
    assert reading.kind is kind
    assert all(shown.test != "second_look" for shown in reading.evidence)


def test_what_machines_send_is_not_looked_at_again():
    assert read_with(leaning(Kind.APPLICATION), demo("07")).kind is Kind.AUTOMATIC


def test_where_the_rules_hesitate_it_tips_the_scale_and_says_so():
    assert read_with(leaning(Kind.OTHER, 0.0), mail(HESITATES)).kind is Kind.DOUBT
    reading = read_with(leaning(Kind.FOLLOW_UP), mail(HESITATES))
    assert reading.kind is Kind.FOLLOW_UP
    assert "la suite d’une candidature" in reading.evidence[0].found


def test_where_the_rules_hesitate_it_makes_no_application_of_words_alone():
    assert read_with(leaning(Kind.APPLICATION), mail(HESITATES)).kind is Kind.DOUBT


def test_of_two_kinds_that_are_no_application_the_much_likelier_wins():
    question = mail("Bonjour, quel est le salaire du poste ? Merci. Alix Rey", subject="question")
    assert read_with(leaning(Kind.ENQUIRY, 0.0), question).kind is Kind.ENQUIRY
    assert read_with(leaning(Kind.FOLLOW_UP, 0.9), question).kind is Kind.ENQUIRY
    assert read_with(leaning(Kind.FOLLOW_UP, 2.0), question).kind is Kind.FOLLOW_UP


def test_the_words_that_told_are_shown():
    look = SecondLook(KINDS, (0.0,) * len(KINDS), {"word.jury": tuple(6.0 * (one is Kind.FOLLOW_UP) for one in KINDS)})
    assert "« jury »" in read_with(look, mail(HESITATES)).evidence[0].found


def test_every_weight_is_of_something_that_can_be_found():
    cues = set(RULES.recognition.cues)
    named = {name.partition(".")[2] for name in RULES.second_look.weights if name.startswith(("cue.", "subject."))}
    assert named <= cues
    assert len(named) > 40


@pytest.mark.parametrize(
    "spoilt",
    [
        '[limits]\nunlike = "low"\n',
        '[weights]\nkinds = ["application"]\ntable = """\nstart 1 2\n"""\n',
        '[weights]\nkinds = ["spam"]\ntable = "start 1"\n',
    ],
)
def test_a_file_that_was_spoilt_is_named_with_the_remedy(tmp_path, spoilt):
    path = tmp_path / "second_look.toml"
    path.write_text(spoilt)
    with pytest.raises(ConfigError, match=r"second_look\.toml.*Remove it"):
        load_second_look(path)
