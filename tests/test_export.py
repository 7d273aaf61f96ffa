"""Everything about a person in one ZIP that they can read."""

from __future__ import annotations

import json
import stat
import zipfile
from typing import TYPE_CHECKING

import pytest

from association import SECOND_OFFER, association, candidature
from test_corrections import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from association import Association


@pytest.fixture
def asso(tmp_path: Path) -> Iterator[Association]:
    with association(tmp_path) as made:
        made.deliver(candidature("Jeanne Dupont", message_id="<1@example.org>"))
        made.deliver(candidature("Paul Morin", bring=("cv",), message_id="<2@example.org>"))
        made.run_pass()
        yield made


def test_the_zip_holds_files_messages_replies_data_and_a_summary(asso, tmp_path):
    target = tmp_path / "jeanne.zip"

    status, said = run(asso, "export", "Jeanne.Dupont@example.org", "--output", str(target), "--json")

    assert status == 0, said
    assert json.loads(said)["applications"] == 1
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with zipfile.ZipFile(target) as archive:
        names = archive.namelist()
        summary = archive.read("lisez-moi.txt").decode("utf-8-sig")
        data = json.loads(archive.read("candidature-1/donnees.json"))
    assert {"candidature-1/CV_DUPONT-Jeanne.pdf", "candidature-1/LM_DUPONT-Jeanne.pdf"} <= set(names)
    assert "candidature-1/message.eml" in names
    assert any(name.startswith("candidature-1/reponses/") for name in names)
    assert "Candidature n° 1 : Chargé·e de mission" in summary
    assert "Suppression prévue : le 15 mai 2024" in summary
    assert "Morin" not in summary
    assert data["application"]["address"] == "jeanne.dupont@example.org"


def test_files_that_staff_put_into_folders_of_their_own_keep_their_places(asso, tmp_path):
    (cv,) = asso.archive.rglob("CV_DUPONT-Jeanne.pdf")
    (cv.parent / "annotés").mkdir()
    (cv.parent / "annotés" / cv.name).write_bytes(b"%PDF-1.4 annotated")

    assert run(asso, "export", "jeanne.dupont@example.org", "-o", str(tmp_path / "x.zip"))[0] == 0

    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.read("candidature-1/annotés/CV_DUPONT-Jeanne.pdf") == b"%PDF-1.4 annotated"
        assert archive.read("candidature-1/CV_DUPONT-Jeanne.pdf") == cv.read_bytes()


def test_two_applications_are_both_in_it(asso, tmp_path):
    asso.deliver(
        candidature("Jeanne Dupont", subject="Candidature comptable COMPTA-24", trade="comptable", message_id="<3@e>")
    )
    asso.run_pass()

    status, said = run(asso, "export", "jeanne.dupont@example.org", "-o", str(tmp_path / "x.zip"), "--json")

    assert (status, json.loads(said)["applications"]) == (0, 2), SECOND_OFFER


def test_an_unknown_address_gets_a_clear_answer_and_no_file(asso, tmp_path):
    status, said = run(asso, "export", "personne@example.org", "-o", str(tmp_path / "x.zip"))

    assert status == 1
    assert "nothing is kept of personne@example.org" in said
    assert not (tmp_path / "x.zip").exists()


def test_no_file_is_overwritten(asso, tmp_path):
    (tmp_path / "x.zip").write_text("mine")

    status, said = run(asso, "export", "jeanne.dupont@example.org", "-o", str(tmp_path / "x.zip"))

    assert status == 1
    assert "exists already" in said
    assert (tmp_path / "x.zip").read_text() == "mine"
