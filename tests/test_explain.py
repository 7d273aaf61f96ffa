"""`explain`: the object of design section 6, exactly, whatever the message; and in words."""

from __future__ import annotations

import json
import mailbox
import subprocess
import sys
from pathlib import Path

import pytest

MESSAGES = Path(__file__).parent.parent / "inbox_agent" / "demo_messages"
KEYS = [
    "source",
    "kind",
    "offer",
    "candidate",
    "received_at",
    "timing",
    "documents",
    "missing",
    "status",
    "reply",
    "no_reply_reason",
    "folder",
    "evidence",
]


def explain(*words: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "inbox_agent", "explain", *words]
    return subprocess.run(command, capture_output=True, input=stdin, check=False, timeout=100)


def objects(ran: subprocess.CompletedProcess[bytes]) -> list[dict[str, object]]:
    assert ran.returncode == 0, ran.stderr.decode()
    return [json.loads(line) for line in ran.stdout.decode().splitlines()]


def test_every_key_is_there_in_the_order_of_the_contract():
    for found in objects(explain("--json", str(MESSAGES))):
        assert list(found) == KEYS


def test_the_object_says_what_the_contract_s_example_says():
    path = str(MESSAGES / "03-cv-only.eml")
    (found,) = objects(explain("--json", path))

    evidence = found.pop("evidence")
    assert found == {
        "source": path,
        "kind": "application",
        "offer": "charge-de-mission-2024",
        "candidate": {"name": "Thomas Moreau", "address": "thomas.moreau@example.org"},
        "received_at": "2024-02-08T12:03:07+01:00",
        "timing": "on_time",
        "documents": [{"name": "CV.pdf", "kind": "cv", "where": "attachment", "state": "read", "pages": 1}],
        "missing": ["letter"],
        "status": "incomplete",
        "reply": {
            "template": "incomplete",
            "to": "thomas.moreau@example.org",
            "subject": "Re: Candidature chargé de mission",
        },
        "no_reply_reason": None,
        "folder": "Candidatures/charge-de-mission-2024/Incomplètes",
    }
    assert {"test": "addressed_to", "found": "To: marienoelle.pinson@villesaucarre.org", "weight": 1.5} in evidence


def test_messages_come_in_the_order_given_from_files_mbox_and_standard_input(tmp_path):
    box = mailbox.mbox(tmp_path / "box.mbox")
    for name in ("05-a-question", "06-an-invoice"):
        box.add((MESSAGES / f"{name}.eml").read_bytes())
    box.close()
    late, first = str(MESSAGES / "12-late.eml"), (MESSAGES / "01-complete.eml").read_bytes()

    found = objects(explain("--json", late, str(tmp_path / "box.mbox"), "-", stdin=first))

    assert [(item["source"], item["kind"]) for item in found] == [
        (late, "application"),
        (f"{tmp_path}/box.mbox#1", "enquiry"),
        (f"{tmp_path}/box.mbox#2", "other"),
        ("-", "application"),
    ]


def test_an_mbox_may_come_on_standard_input(tmp_path):
    box = mailbox.mbox(tmp_path / "box")
    box.add((MESSAGES / "12-late.eml").read_bytes())
    box.close()

    (found,) = objects(explain("--json", "-", stdin=(tmp_path / "box").read_bytes()))

    assert (found["source"], found["timing"]) == ("-#1", "late")


@pytest.mark.parametrize("octets", [b"", b"\0" * 10000, b"\xff\xfe\x00garbage", b"Subject: x", b"From: \r\n\r\n"])
def test_no_octets_whatever_crash_it(octets):
    (found,) = objects(explain("--json", "-", stdin=octets))

    assert list(found) == KEYS
    assert found["reply"] is None


def test_a_rules_folder_with_offers_only_takes_the_rest_from_those_that_ship(tmp_path):
    (tmp_path / "offers").mkdir()
    (tmp_path / "offers" / "autre.toml").write_text(
        'id = "autre"\ntitle = "Chargé de mission"\naddressed_to = ["marienoelle.pinson@villesaucarre.org"]\n'
        'deadline = 2024-02-01\nrequired = ["cv"]\n',
        encoding="utf-8",
    )

    (found,) = objects(explain("--json", "--rules", str(tmp_path), str(MESSAGES / "03-cv-only.eml")))

    assert (found["offer"], found["timing"], found["missing"]) == ("autre", "late", [])
    assert found["reply"]["template"] == "late"


def test_a_wrong_rule_is_told_with_its_file_and_key_and_exit_78(tmp_path):
    (tmp_path / "offers").mkdir()
    (tmp_path / "offers" / "x.toml").write_text('id = "x"\ntitel = "X"\naddressed_to = []\n', encoding="utf-8")

    ran = explain("--rules", str(tmp_path), str(MESSAGES / "12-late.eml"))

    assert ran.returncode == 78
    said = ran.stderr.decode()
    assert f"{tmp_path}/offers/x.toml: titel: unknown key" in said
    assert "addressed_to" in said


def test_wrong_usage_is_2():
    assert explain("--json", "/nowhere/at/all.eml").returncode == 2
    assert explain("--unknown").returncode == 2
    assert explain().returncode == 2


def test_in_words_a_secretary_sees_what_why_and_what_would_happen():
    said = explain(str(MESSAGES / "03-cv-only.eml")).stdout.decode()

    assert "C’est      une candidature" in said
    assert "Manque     lettre" in said
    assert "Réponse    demande de ce qui manque, à thomas.moreau@example.org (brouillon)" in said
    assert "Parce que  +4.0  CV.pdf : un CV" in said
