"""The register: what openpyxl reads back is what was meant, and nothing of it computes or calls out."""

from __future__ import annotations

import dataclasses
import io
import re
import zipfile
from datetime import date, datetime
from typing import TYPE_CHECKING

import openpyxl
import pytest
from inbox_agent import samples
from inbox_agent.register import Register, render_register

if TYPE_CHECKING:
    from inbox_agent.listing import ApplicationRow


def read_back(octets: bytes):
    return openpyxl.load_workbook(io.BytesIO(octets))["Candidatures"]


def a_register(*rows: ApplicationRow) -> Register:
    return Register(samples.OFFER.title, date(2024, 2, 15), samples.OFFER.id, rows)


def a_row(**changes: object) -> ApplicationRow:
    (row,) = samples.application_rows(1)
    return dataclasses.replace(row, **changes)


def test_it_opens_with_filters_a_frozen_header_and_the_offer_above():
    sheet = read_back(render_register(a_register(*samples.application_rows(40))))

    assert sheet["A1"].value == "Chargé·e de mission questions urbaines et territoriales"
    assert sheet["H1"].value == datetime(2024, 2, 15)  # noqa: DTZ001, a cell has no zone.
    assert [cell.value for cell in sheet[2]][:4] == ["N°", "Nom", "Adresse", "Reçue le"]
    assert sheet.freeze_panes == "C3"
    assert sheet.auto_filter.ref == "A2:L42"
    assert sheet.max_row == 42


def test_dates_are_dates_in_the_time_of_the_organisation():
    cell = read_back(render_register(a_register(a_row())))["D3"]

    assert cell.is_date
    assert cell.value == a_row().received_at.replace(tzinfo=None)
    assert cell.number_format == "dd/mm/yyyy hh:mm"


@pytest.mark.parametrize(
    "text",
    [
        '=cmd|"/c calc"!A1',
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        '=HYPERLINK("https://evil.example")',
        "https://evil.example/",
        "mailto:x@evil.example",
        "0033612345678",
        "{=1+1}",
        "\t=1",
    ],
)
def test_no_formula_link_or_number_is_made_of_a_strangers_words(text):
    row = a_row(name=text, address=text, notes=(text,), folder=None, number=7)
    octets = render_register(Register(text, None, "x", (row,)))
    sheet = read_back(octets)
    archive = zipfile.ZipFile(io.BytesIO(octets))

    assert sheet["B3"].value == text.strip()
    assert sheet["B3"].data_type == "s"
    assert sheet["B3"].hyperlink is None
    assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")
    assert "xl/worksheets/_rels/sheet1.xml.rels" not in archive.namelist()


def test_folders_are_linked_relative_to_the_register():
    row = a_row(folder=f"{samples.OFFER.id}/2024-02-13_DUPONT-Jeanne_00ff00")
    elsewhere = a_row(folder="spontanees/2024-02-13_x")
    sheet = read_back(render_register(a_register(row, elsewhere)))

    assert sheet["L3"].value == "Ouvrir le dossier"
    assert sheet["L3"].hyperlink.target.rstrip("\\/") == "2024-02-13_DUPONT-Jeanne_00ff00"
    assert sheet["L4"].hyperlink.target.replace("\\", "/") == "../spontanees/2024-02-13_x/"


def test_the_same_rows_give_the_same_octets():
    rows = samples.application_rows(50)

    assert render_register(a_register(*rows)) == render_register(a_register(*rows))


def test_no_date_of_today_or_name_of_a_machine_is_in_it():
    octets = render_register(a_register(*samples.application_rows(3)))
    archive = zipfile.ZipFile(io.BytesIO(octets))
    core = archive.read("docProps/core.xml").decode()

    assert {info.date_time[:3] for info in archive.infolist()} == {(1980, 1, 1)}
    assert set(re.findall(r"\d{4}-\d\d-\d\d", core)) == {"2024-01-01"}


def test_an_empty_register_still_has_its_header():
    sheet = read_back(render_register(a_register()))

    assert sheet.max_row == 2
    assert sheet["B2"].value == "Nom"


def test_a_hostile_name_is_one_visible_line():
    sheet = read_back(render_register(a_register(a_row(name="Du\u202epont\x00\r\nJeanne\x07" + "x" * 900))))

    assert sheet["B3"].value.startswith("Du‹U+202E›pont Jeanne xxx")
    assert len(sheet["B3"].value) <= 500
