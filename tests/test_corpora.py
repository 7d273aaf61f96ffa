"""Every mail and document of the corpora through the reading children: nothing uncaught, one end state each."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from inbox_agent.adapters.readers import ChildReaders, ReaderLimits
from inbox_agent.application import Reading
from inbox_agent.offer import Staff
from inbox_agent.parse import parse
from inbox_agent.ports import Unread
from inbox_agent.shipped import shipped

import making

FOLDER = os.environ.get("INBOX_AGENT_CORPORA")

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.timeout(900),
    pytest.mark.skipif(FOLDER is None, reason="INBOX_AGENT_CORPORA names no folder"),
]

# Two wall times, the first try's with tesseract and the second's, and a start.
MAX_SECONDS = ReaderLimits().wall + ReaderLimits().ocr_seconds + ReaderLimits().retry_wall + 3
PARENT_MAX = 200 * 1024  # KiB


def _files(*folders: str) -> list[Path]:
    root = Path(FOLDER or "")
    return sorted(path for folder in folders for path in (root / folder).rglob("*") if path.is_file())


def _as_mail(path: Path) -> bytes:
    octets = path.read_bytes()
    if path.parts[len(Path(FOLDER or "").parts)] == "mails" or path.suffix == ".eml":
        return octets
    return making.eml(attachments=[(path.name, octets)])


def test_every_mail_is_a_message() -> None:
    times = []
    for path in _files("mails"):
        octets = path.read_bytes()
        begun = time.process_time()
        message = parse(octets)
        times.append(time.process_time() - begun)
        assert message.sha256 == hashlib.sha256(octets).hexdigest()
        message.text.encode()
    assert len(times) > 1000
    assert sorted(times)[len(times) * 99 // 100] < 2
    assert max(times) < 5


def _memory(name: str) -> int:
    """A line of /proc/self/status, KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@pytest.mark.parametrize("folder", ["mails", "documents", "hostile"])
def test_everything_ends_in_one_state_and_in_time(folder: str, tmp_path: Path) -> None:
    # Two seconds are asked of reading text: a scanned page takes tesseract one or two by itself.
    limits = ReaderLimits() if folder == "hostile" else ReaderLimits(ocr_pages=0)
    nobody = Staff(frozenset(), frozenset())
    children = ChildReaders(shipped("rules"), (), nobody, limits=limits, scratch=tmp_path / "scratch", workers=2)
    paths: list[Path] = []
    for path in _files(folder):
        octets = _as_mail(path)
        spooled = tmp_path / f"{hashlib.sha256(octets).hexdigest()}.eml"
        if not spooled.exists():
            spooled.write_bytes(octets)
            paths.append(spooled)
    results, times = [], []
    # Of this part alone: what other tests of this process needed before is not ours.
    Path("/proc/self/clear_refs").write_text("5")
    resting = _memory("VmRSS")
    begun = time.monotonic()
    for result in children.read(paths):
        times.append(time.monotonic() - begun)
        results.append(result)
        begun = time.monotonic()
    children.close()
    assert [result.sha256 for result in results] == [path.stem for path in paths]
    assert [result for result in results if isinstance(result, Unread)] == []
    assert all(isinstance(result, Reading) for result in results)
    assert max(times) < MAX_SECONDS
    if folder != "hostile":
        assert sorted(times)[len(times) * 99 // 100] < 2
    assert _memory("VmHWM") - resting < PARENT_MAX
    assert list((tmp_path / "scratch").iterdir()) == []
