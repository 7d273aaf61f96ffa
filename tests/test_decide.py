"""What a sensible secretary would do: reading × history → decision, on plain data."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from inbox_agent.application import (
    Candidate,
    Document,
    DocumentKind,
    DocumentState,
    Kind,
    Reading,
    Status,
    Timing,
    Where,
)
from inbox_agent.decide import Policy, decide, failed_authentication
from inbox_agent.decision import Earlier, History, ReplyMode, ReplyTemplate
from inbox_agent.offer import LateDocuments, Offer, Staff

OFFER = Offer("offre", "Chargé de mission", ("directrice@asso.fr",), ("secretaire@asso.fr",), date(2024, 2, 15))
OTHER_OFFER = replace(OFFER, id="comptable", title="Comptable")
STAFF = Staff.of((OFFER,))
POLICY = Policy((OFFER, OTHER_OFFER), STAFF)
IN_TIME = datetime(2024, 2, 10, 9, 0, tzinfo=UTC)
TOO_LATE = datetime(2024, 2, 20, 9, 0, tzinfo=UTC)
JEANNE = Candidate("Jeanne Dupont", "Jeanne", "Dupont", "jeanne@example.org")


def document(kind: DocumentKind, mark: str, state: DocumentState = DocumentState.READ) -> Document:
    return Document(f"{mark}.pdf", kind, Where.ATTACHMENT, state, 1, "2", "application/pdf", 10, mark * 64)


CV = document(DocumentKind.CV, "a")
LETTER = document(DocumentKind.LETTER, "b")
SCAN = document(DocumentKind.OTHER, "c", DocumentState.SCANNED)


def reading(
    kind: Kind = Kind.APPLICATION, documents: tuple[Document, ...] = (CV, LETTER), **changes: object
) -> Reading:
    fields = {
        "sha256": "1" * 64,
        "size": 1000,
        "fingerprint": "2" * 64,
        "offer": "offre",
        "candidate": JEANNE,
        "sender": "jeanne@example.org",
        "subject": "Candidature",
        "message_id": "<1@example.org>",
        "thread": (),
        "language": "fr",
        "received": None,
        "date": IN_TIME,
        "evidence": (),
    }
    return Reading(kind=kind, documents=documents, **{**fields, **changes})


def earlier(by: str = "address", documents: tuple[Document, ...] = (CV,), **changes: object) -> Earlier:
    fields = {
        "id": 7,
        "offer": "offre",
        "missing": ("letter",),
        "status": Status.INCOMPLETE,
        "timing": Timing.ON_TIME,
        "folder": "Candidatures/offre/Incomplètes",
        "candidate": JEANNE,
    }
    return Earlier(by=by, documents=documents, **{**fields, **changes})


def known(*applications: Earlier) -> History:
    return History(earlier=applications)


def test_a_complete_application_is_filed_moved_and_acknowledged():
    decision = decide(reading(), IN_TIME, History(), POLICY)

    assert (decision.kind, decision.status, decision.missing) == (Kind.APPLICATION, Status.COMPLETE, ())
    assert decision.folder == "Candidatures/offre/Complètes"
    assert decision.filed
    assert decision.reply is not None
    assert (decision.reply.template, decision.reply.to) == (ReplyTemplate.COMPLETE, "jeanne@example.org")
    assert decision.reply.subject == "Re: Candidature"
    assert decision.reply.in_reply_to == "<1@example.org>"


def test_a_missing_letter_is_asked_for():
    decision = decide(reading(documents=(CV,)), IN_TIME, History(), POLICY)

    assert decision.folder == "Candidatures/offre/Incomplètes"
    assert decision.reply.template is ReplyTemplate.INCOMPLETE
    assert decision.missing == ("letter",)


def test_a_late_application_is_late_whatever_it_lacks():
    decision = decide(reading(documents=(CV,)), TOO_LATE, History(), POLICY)

    assert (decision.timing, decision.folder) == (Timing.LATE, "Candidatures/offre/Hors délai")
    assert decision.reply.template is ReplyTemplate.LATE


def test_an_application_on_the_deadline_day_is_acknowledged_like_the_others():
    decision = decide(reading(), datetime(2024, 2, 15, 12, 0, tzinfo=UTC), History(), POLICY)

    assert decision.timing is Timing.BOUNDARY
    assert decision.folder == "Candidatures/offre/Complètes"
    assert decision.reply.template is ReplyTemplate.COMPLETE
    assert "reçue le jour même de la date limite" in decision.notes


def test_a_scan_that_may_be_the_letter_goes_to_a_person_without_a_reply():
    decision = decide(reading(documents=(CV, SCAN)), IN_TIME, History(), POLICY)

    assert decision.status is Status.DOUBT
    assert decision.folder == "Candidatures/À vérifier"
    assert decision.reply is None
    assert decision.no_reply_reason is not None
    assert decision.no_reply_reason.startswith("a document that was not recognised may be the missing piece")


@pytest.mark.parametrize("kind", [Kind.ENQUIRY, Kind.AUTOMATIC, Kind.BULK, Kind.INTERNAL, Kind.OTHER])
def test_what_is_no_application_is_left_untouched_and_unanswered(kind):
    decision = decide(reading(kind), IN_TIME, History(), POLICY)

    assert (decision.folder, decision.reply, decision.filed, decision.timing) == (None, None, False, None)
    assert decision.no_reply_reason


def test_a_doubt_is_moved_to_where_people_look_and_never_answered():
    decision = decide(reading(Kind.DOUBT, doubt="deux avis contraires"), IN_TIME, History(), POLICY)

    assert (decision.folder, decision.reply, decision.filed) == ("Candidatures/À vérifier", None, False)
    assert (decision.status, decision.doubt) == (Status.DOUBT, "deux avis contraires")


def test_the_missing_letter_completes_the_application_exactly_once():
    decision = decide(reading(Kind.FOLLOW_UP, (LETTER,)), IN_TIME, known(earlier()), POLICY)

    assert (decision.kind, decision.application) == (Kind.FOLLOW_UP, 7)
    assert (decision.status, decision.missing) == (Status.COMPLETE, ())
    assert decision.folder == "Candidatures/offre/Complètes"
    assert decision.reply.template is ReplyTemplate.COMPLETED

    complete = earlier(documents=(CV, LETTER), status=Status.COMPLETE, missing=())
    again = decide(reading(Kind.FOLLOW_UP, (LETTER,)), IN_TIME, known(complete), POLICY)
    assert again.reply is None


def test_a_second_application_from_the_same_address_for_the_same_offer_is_a_follow_up():
    decision = decide(reading(documents=(LETTER,)), IN_TIME, known(earlier()), POLICY)

    assert (decision.kind, decision.application) == (Kind.FOLLOW_UP, 7)


def test_one_candidate_for_two_offers_is_two_applications():
    decision = decide(reading(offer="comptable"), IN_TIME, known(earlier()), POLICY)

    assert (decision.kind, decision.application, decision.offer) == (Kind.APPLICATION, None, "comptable")


def test_the_same_name_alone_is_a_suggestion_and_never_an_act():
    decision = decide(reading(documents=(LETTER,)), IN_TIME, known(earlier("name")), POLICY)

    assert (decision.application, decision.suggested) == (None, 7)
    assert decision.kind is Kind.APPLICATION


def test_a_thread_joins_from_another_address():
    stranger = replace(JEANNE, address="jeanne.d@autre.example")
    decision = decide(reading(Kind.FOLLOW_UP, (LETTER,), candidate=stranger), IN_TIME, known(earlier("thread")), POLICY)

    assert decision.application == 7


def test_the_same_message_again_is_the_same_application_and_not_answered_again():
    decision = decide(reading(), IN_TIME, known(earlier("message")), POLICY)

    assert (decision.kind, decision.application) == (Kind.APPLICATION, 7)
    assert decision.reply is None
    assert decision.folder == "Candidatures/offre/Incomplètes"


def test_a_chaser_changes_nothing_and_is_not_answered():
    decision = decide(reading(Kind.FOLLOW_UP, ()), IN_TIME, known(earlier()), POLICY)

    assert (decision.application, decision.reply) == (7, None)
    assert decision.no_reply_reason == "nothing changed in the state of the application"


def test_a_new_piece_that_is_not_the_missing_one_says_what_is_still_missing():
    newer_cv = document(DocumentKind.CV, "d")
    decision = decide(reading(Kind.FOLLOW_UP, (newer_cv,)), IN_TIME, known(earlier()), POLICY)

    assert decision.reply.template is ReplyTemplate.STILL_INCOMPLETE


@pytest.mark.parametrize(
    ("rule", "status", "template"),
    [
        (LateDocuments.ACCEPT, Status.COMPLETE, ReplyTemplate.COMPLETED),
        (LateDocuments.FLAG, Status.COMPLETE, ReplyTemplate.COMPLETED),
        (LateDocuments.REFUSE, Status.INCOMPLETE, None),
    ],
)
def test_a_piece_after_the_deadline_follows_the_offer_s_rule(rule, status, template):
    policy = replace(POLICY, offers=(replace(OFFER, late_documents=rule),))
    decision = decide(reading(Kind.FOLLOW_UP, (LETTER,)), TOO_LATE, known(earlier()), policy)

    assert decision.timing is Timing.ON_TIME
    assert decision.status is status
    assert (decision.reply.template if decision.reply else None) is template


def test_where_staff_put_it_it_stays():
    placed = earlier(staff_placed=True, folder="Candidatures/offre/Hors délai")
    decision = decide(reading(Kind.FOLLOW_UP, (LETTER,)), IN_TIME, known(placed), POLICY)

    assert decision.folder == "Candidatures/offre/Hors délai"


def test_a_withdrawal_is_filed_with_the_application_and_answered_once():
    decision = decide(reading(Kind.WITHDRAWAL, ()), IN_TIME, known(earlier()), POLICY)

    assert (decision.application, decision.folder) == (7, "Candidatures/offre/Incomplètes")
    assert decision.reply.template is ReplyTemplate.WITHDRAWN

    again = decide(reading(Kind.WITHDRAWAL, ()), IN_TIME, known(earlier(withdrawn=True)), POLICY)
    assert again.reply is None


@pytest.mark.parametrize(
    ("changes", "history", "reason"),
    [
        ({"never_answer": "Auto-Submitted: auto-generated"}, History(), "Auto-Submitted: auto-generated"),
        ({"candidate": replace(JEANNE, address=None)}, History(), "no address of the candidate is certain"),
        ({"candidate": replace(JEANNE, address="directrice@asso.fr")}, History(), "the address is one of ours"),
        ({}, History(replies_to_address_today=3), "the address has had its replies for today"),
        ({}, History(replies_last_hour=60), "more replies than is plausible: sending is stopped until a person looks"),
        ({}, History(replies_today=300), "more replies than is plausible: sending is stopped until a person looks"),
    ],
)
def test_silence_has_its_reasons(changes, history, reason):
    decision = decide(reading(**changes), IN_TIME, history, POLICY)

    assert (decision.reply, decision.no_reply_reason) == (None, reason)
    assert decision.filed, "silence never keeps an application from being filed"


def test_what_is_older_than_the_installation_is_filed_and_not_answered():
    policy = replace(POLICY, answer_since=IN_TIME + timedelta(seconds=1))

    assert decide(reading(), IN_TIME, History(), policy).no_reply_reason == "older than the installation"
    assert decide(reading(), IN_TIME, History(), replace(POLICY, answer_since=IN_TIME)).reply is not None


def test_an_offer_says_how_its_replies_leave():
    modes = (("*", "send"), ("late", "draft"), ("incomplete", "off"))
    policy = replace(POLICY, offers=(replace(OFFER, reply_modes=modes),), mode=ReplyMode.OFF)

    assert decide(reading(), IN_TIME, History(), policy).reply.mode is ReplyMode.SEND
    assert decide(reading(), TOO_LATE, History(), policy).reply.mode is ReplyMode.DRAFT
    silent = decide(reading(documents=(CV,)), IN_TIME, History(), policy)
    assert (silent.reply, silent.no_reply_reason) == (None, "replies are switched off")


@pytest.mark.parametrize(
    ("results", "failed"),
    [
        (("mx.asso.fr; dmarc=fail header.from=example.org",), True),
        (("mx.asso.fr 1; spf=pass; dkim=pass; dmarc=pass",), False),
        (("MX.ASSO.FR; DMARC = FAIL",), True),
        (("evil.example; dmarc=fail",), False),
        (("mx.asso.fr; dmarc=pass", "mx.asso.fr; dmarc=fail"), False),
        (("evil.example; dmarc=pass", "mx.asso.fr; dmarc=fail"), True),
        (("mx.asso.fr; dmarc=none",), False),
        ((), False),
    ],
)
def test_only_the_trusted_server_s_topmost_word_on_dmarc_counts(results, failed):
    assert failed_authentication(results, "mx.asso.fr") is failed
    assert failed_authentication(results, None) is False


def test_a_spontaneous_application_has_no_timing_and_its_own_folder():
    decision = decide(reading(offer=None), IN_TIME, History(), POLICY)

    assert (decision.offer, decision.timing) == (None, None)
    assert decision.folder == "Candidatures/Spontanées/Complètes"
    assert decision.reply.template is ReplyTemplate.COMPLETE


def test_a_word_about_an_application_that_is_not_known_goes_to_a_person_where_everything_is_remembered():
    chaser = reading(Kind.FOLLOW_UP, ())

    remembered = decide(chaser, IN_TIME, History(), replace(POLICY, remembers=True))
    assert (remembered.kind, remembered.folder, remembered.filed) == (Kind.DOUBT, "Candidatures/À vérifier", False)
    assert remembered.doubt == "la suite d’une candidature qui n’est pas connue ici"
    assert decide(chaser, IN_TIME, History(), POLICY).kind is Kind.FOLLOW_UP

    with_a_letter = decide(reading(Kind.FOLLOW_UP, (LETTER,)), IN_TIME, History(), replace(POLICY, remembers=True))
    assert (with_a_letter.kind, with_a_letter.filed) == (Kind.FOLLOW_UP, True)


def test_other_mail_of_somebody_whose_application_is_known_is_shown_to_a_person():
    words = reading(Kind.OTHER, (), candidate=None, offer=None)

    shown = decide(words, IN_TIME, known(earlier()), POLICY)

    assert (shown.kind, shown.folder, shown.reply) == (Kind.DOUBT, "Candidatures/À vérifier", None)
    assert (shown.candidate, shown.offer, shown.application) == (JEANNE, "offre", None)
    assert shown.doubt == "de la même adresse que la candidature n° 7 : peut-être à son sujet"


@pytest.mark.parametrize(
    ("changes", "application"),
    [
        ({"sender": "collegue@example.org"}, earlier("thread")),
        ({"sender": "collegue@example.org"}, earlier("address")),
        ({"kind": Kind.BULK}, earlier()),
        ({"kind": Kind.AUTOMATIC}, earlier()),
        ({"kind": Kind.ENQUIRY}, earlier()),
        ({}, earlier("message", set_aside=True)),
    ],
)
def test_mail_of_others_and_of_machines_and_what_staff_set_aside_stays_where_it_is(changes, application):
    kind = changes.pop("kind", Kind.OTHER)
    words = reading(kind, (), candidate=None, offer=None, **changes)

    left = decide(words, IN_TIME, known(application), POLICY)

    assert (left.kind, left.folder, left.filed) == (kind, None, False)
