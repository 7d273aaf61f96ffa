"""The demo is the real daemon over real conversations: what it says is what lies in the folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_the_demo_does_what_it_says(tmp_path):
    command = [sys.executable, "-m", "inbox_agent", "demo", "--json", "--keep", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)

    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    archive, digest = Path(found.pop("archive")), Path(found.pop("digest"))
    assert found == {"messages": 13, "applications": 7, "replies": 7, "drafts": 1, "doubts": 0}
    assert "Claire Lefèvre" in digest.read_text(encoding="utf-8")
    assert "Claire Lefèvre" in (archive / "index.html").read_text(encoding="utf-8")
    assert len(list(archive.rglob("candidature.json"))) == 7
    assert len(list(archive.rglob("message*.eml"))) == 8
    assert (archive / "charge-de-mission-2024" / "suivi.xlsx").exists()


def test_the_readme_shows_what_the_demo_prints(tmp_path):
    command = [sys.executable, "-m", "inbox_agent", "demo", "--keep", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110).stdout
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")

    shown = readme.partition("$ ./dev demo\n")[2].partition("```")[0]

    assert shown.strip() in said
