"""Timing by the server's clock in the offer's zone, and what is missing (design section 4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from inbox_agent.application import Document, DocumentKind, DocumentState, Status, Timing, Where
from inbox_agent.assess import arrival, missing, status
from inbox_agent.offer import DeadlineDay, Offer

PARIS = ZoneInfo("Europe/Paris")


def offer(**changes: object) -> Offer:
    fields = {"id": "x", "title": "X", "addressed_to": ("a@b.fr",), "deadline": date(2024, 2, 15)}
    return Offer(**{**fields, **changes})


def paris(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=PARIS)


def document(kind: DocumentKind, state: DocumentState = DocumentState.READ, name: str = "x.pdf") -> Document:
    return Document(name, kind, Where.ATTACHMENT, state, 1, "2", "application/pdf", 10, "0" * 64)


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (paris(2024, 2, 14, 23, 59, 59), Timing.ON_TIME),
        (datetime(2024, 2, 14, 23, 30, tzinfo=UTC), Timing.BOUNDARY),  # 15 Feb 00:30 in Paris.
        (paris(2024, 2, 15, 0, 0, 0), Timing.BOUNDARY),
        (paris(2024, 2, 15, 23, 59, 59), Timing.BOUNDARY),
        (paris(2024, 2, 16, 0, 0, 0), Timing.LATE),
        (datetime(2024, 2, 15, 22, 59, 59, tzinfo=UTC), Timing.BOUNDARY),
        (datetime(2024, 2, 15, 23, 0, 0, tzinfo=UTC), Timing.LATE),
    ],
)
def test_the_design_s_vectors_hold(received, expected):
    assert arrival(offer(), received, None).timing is expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (DeadlineDay.LATE, Timing.LATE),
        (DeadlineDay.FLAGGED, Timing.BOUNDARY),
        (DeadlineDay.ON_TIME, Timing.ON_TIME),
    ],
)
def test_the_deadline_day_means_what_the_offer_says(rule, expected):
    assert arrival(offer(deadline_day=rule), paris(2024, 2, 15, 12, 0), None).timing is expected


def test_a_forged_date_changes_nothing_and_the_gap_is_in_the_evidence():
    found = arrival(offer(grace_minutes=60), paris(2024, 2, 16, 9, 0), paris(2024, 2, 10, 9, 0))

    assert found.timing is Timing.LATE
    assert [item.found for item in found.evidence if item.test == "date_gap"] == [
        "l'expéditeur date son message du 10 février 2024 à 9\xa0h\xa000, soit +144 h d'écart"
    ]


def test_sent_before_and_received_within_the_grace_is_on_time_with_a_note():
    found = arrival(offer(grace_minutes=60), paris(2024, 2, 15, 0, 20), paris(2024, 2, 14, 23, 50))

    assert found.timing is Timing.ON_TIME
    assert found.notes == ("envoyée avant la limite, reçue 30 min plus tard : comptée à temps",)


def test_grace_needs_the_sender_s_date_to_be_within_it():
    assert arrival(offer(grace_minutes=60), paris(2024, 2, 15, 1, 20), paris(2024, 2, 14, 23, 50)).timing is (
        Timing.BOUNDARY
    )
    assert arrival(offer(grace_minutes=60), paris(2024, 2, 15, 0, 20), paris(2024, 2, 15, 0, 10)).timing is (
        Timing.BOUNDARY
    )


def test_without_grace_the_date_header_is_no_excuse():
    assert arrival(offer(), paris(2024, 2, 15, 0, 1), paris(2024, 2, 14, 23, 59)).timing is Timing.BOUNDARY


@pytest.mark.parametrize(
    ("deadline", "received", "expected"),
    [
        # Spring: 31 March 2024, 02:00 becomes 03:00; the day has 23 hours.
        (date(2024, 3, 31), datetime(2024, 3, 30, 22, 59, 59, tzinfo=UTC), Timing.ON_TIME),
        (date(2024, 3, 31), datetime(2024, 3, 30, 23, 0, tzinfo=UTC), Timing.BOUNDARY),
        (date(2024, 3, 31), datetime(2024, 3, 31, 21, 59, 59, tzinfo=UTC), Timing.BOUNDARY),
        (date(2024, 3, 31), datetime(2024, 3, 31, 22, 0, tzinfo=UTC), Timing.LATE),
        # Autumn: 27 October 2024, 03:00 becomes 02:00; the day has 25 hours.
        (date(2024, 10, 27), datetime(2024, 10, 26, 21, 59, 59, tzinfo=UTC), Timing.ON_TIME),
        (date(2024, 10, 27), datetime(2024, 10, 26, 22, 0, tzinfo=UTC), Timing.BOUNDARY),
        (date(2024, 10, 27), datetime(2024, 10, 27, 22, 59, 59, tzinfo=UTC), Timing.BOUNDARY),
        (date(2024, 10, 27), datetime(2024, 10, 27, 23, 0, tzinfo=UTC), Timing.LATE),
    ],
)
def test_the_nights_when_the_clocks_change_hold(deadline, received, expected):
    assert arrival(offer(deadline=deadline), received, None).timing is expected


def test_an_offer_in_another_zone_is_judged_there():
    reunion = offer(timezone="Indian/Reunion")

    assert arrival(reunion, datetime(2024, 2, 15, 20, 0, tzinfo=UTC), None).timing is Timing.LATE


def test_without_an_offer_there_is_no_timing_and_without_a_deadline_nothing_is_late():
    assert arrival(None, paris(2024, 2, 20, 9, 0), None).timing is None
    assert arrival(offer(deadline=None), paris(2030, 1, 1, 9, 0), None).timing is Timing.ON_TIME


def test_an_offer_closed_early_is_late_from_that_day_and_one_not_yet_open_is_noted():
    closed = arrival(offer(closed=date(2024, 2, 10)), paris(2024, 2, 10, 9, 0), None)
    early = arrival(offer(opens=date(2024, 2, 1)), paris(2024, 1, 31, 9, 0), None)

    assert (closed.timing, closed.notes) == (Timing.LATE, ("offre close depuis le 10 février 2024",))
    assert (early.timing, early.notes) == (Timing.ON_TIME, ("reçue avant l'ouverture de l'offre (1er février 2024)",))


def test_what_is_missing_is_told_in_the_offer_s_order():
    assert missing((), offer()) == ("cv", "letter")
    assert missing((document(DocumentKind.LETTER),), offer()) == ("cv",)
    assert missing((document(DocumentKind.CV_AND_LETTER),), offer()) == ()


def test_a_scan_is_a_cv_all_the_same_and_a_locked_file_is_not_received_yet():
    assert missing((document(DocumentKind.CV, DocumentState.SCANNED),), offer(required=("cv",))) == ()
    for state in (DocumentState.LOCKED, DocumentState.DAMAGED, DocumentState.EMPTY, DocumentState.REFUSED):
        assert missing((document(DocumentKind.CV, state),), offer(required=("cv",))) == ("cv",)


def test_a_scan_of_unknown_kind_makes_a_doubt_and_not_a_reproach():
    scan = document(DocumentKind.OTHER, DocumentState.SCANNED)

    assert status((document(DocumentKind.CV), scan), ("letter",)) is Status.DOUBT
    assert status((document(DocumentKind.CV),), ("letter",)) is Status.INCOMPLETE
    assert status((document(DocumentKind.CV), scan), ()) is Status.COMPLETE


def test_where_nothing_that_came_was_recognised_nobody_is_asked_for_it_again():
    other, logo = document(DocumentKind.OTHER), replace(document(DocumentKind.OTHER), media_type="image/png", size=4000)

    assert status((other,), ("cv", "letter")) is Status.DOUBT
    assert status((document(DocumentKind.CV), other), ("letter",)) is Status.INCOMPLETE
    assert status((logo,), ("cv", "letter")) is Status.INCOMPLETE
    assert status((), ("cv", "letter")) is Status.INCOMPLETE


def test_a_photograph_that_was_read_and_not_recognised_may_be_the_letter():
    photograph = replace(document(DocumentKind.OTHER), media_type="image/jpeg", size=900_000)

    assert status((document(DocumentKind.CV), photograph), ("letter",)) is Status.DOUBT


def test_a_spontaneous_application_lacks_a_cv_at_most():
    assert missing((document(DocumentKind.CV),), None) == ()
    assert missing((document(DocumentKind.LETTER),), None) == ("cv",)
