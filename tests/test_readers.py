"""The reading children: what they may do, what becomes of a message that defeats one, and of those behind it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from inbox_agent import sandbox
from inbox_agent.adapters import readers
from inbox_agent.adapters.readers import ChildReaders, ReaderLimits
from inbox_agent.application import Document, DocumentKind, DocumentState, Evidence, Kind, Reading, Where
from inbox_agent.errors import AgentError, FileStoreError
from inbox_agent.formats import ocr
from inbox_agent.offer import Staff
from inbox_agent.ports import Unread
from inbox_agent.shipped import shipped

import making

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[..., list[Reading | Unread]]

STUB = [sys.executable, "-I", str(Path(__file__).with_name("reading_stub.py"))]
NOBODY = Staff(frozenset(), frozenset())
CV = making.pdf(["Jeanne Dupont", "Expérience professionnelle"] * 10)
QUICK = ReaderLimits(wall=2, retry_wall=2, cpu=10, document_wall=1, ocr_pages=0)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_command", lambda: STUB)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def _spooled(spool: Path, octets: bytes) -> Path:
    path = spool / f"{hashlib.sha256(octets).hexdigest()}.eml"
    path.write_bytes(octets)
    return path


def _application(subject: str, *attachments: tuple[str, bytes]) -> bytes:
    return making.eml(subject=subject, text="Bonjour", attachments=attachments or [("CV.pdf", CV)])


@pytest.fixture
def read(stub: None, spool: Path) -> Iterator[Read]:
    opened: list[ChildReaders] = []

    def read_all(*octets: bytes, limits: ReaderLimits = QUICK, workers: int = 1) -> list[Reading | Unread]:
        children = ChildReaders(shipped("rules"), (), NOBODY, limits=limits, scratch=spool / "scratch", workers=workers)
        opened.append(children)
        return list(children.read([_spooled(spool, one) for one in octets]))

    yield read_all
    for children in opened:
        children.close()


def _subjects(results: list[Reading | Unread]) -> list[str]:
    return [f"unread: {result.why}" if isinstance(result, Unread) else result.subject for result in results]


# --- Order and documents --------------------------------------------------------------------------------------


def test_readings_come_in_the_order_asked_for(read: Read) -> None:
    subjects = [f"message {number}" for number in range(25)]
    assert _subjects(read(*(_application(subject) for subject in subjects), workers=2)) == subjects


def test_documents_are_left_in_the_spool_under_the_names_told(read: Read, spool: Path) -> None:
    letter = "Madame la Directrice, je vous adresse ma candidature au poste de chargée de mission."
    octets = making.eml(text=letter, attachments=[("CV.pdf", CV), ("../LM.txt", b"abc")])
    (reading,) = read(octets)
    assert isinstance(reading, Reading)
    assert [document.file for document in reading.documents] == ["1.bin", "2.bin", "3.txt"]
    folder = spool / f"{reading.sha256}.d"
    assert [(folder / name).read_bytes().strip() for name in ("1.bin", "2.bin", "3.txt")] == [
        CV.strip(),
        b"abc",
        letter.encode(),
    ]
    for document in reading.documents:
        assert document.file is not None
        assert hashlib.sha256((folder / document.file).read_bytes()).hexdigest() == document.sha256


def test_a_message_read_again_replaces_what_an_earlier_run_left(read: Read, spool: Path) -> None:
    octets = _application("x")
    folder = spool / f"{hashlib.sha256(octets).hexdigest()}.d"
    folder.mkdir()
    (folder / "9.bin").write_bytes(b"half")
    read(octets)
    assert [path.name for path in folder.iterdir()] == ["1.bin"]


def test_nothing_is_written_of_mail_that_is_never_filed(read: Read, spool: Path) -> None:
    (reading,) = read(_application("bulk"))
    assert isinstance(reading, Reading)
    assert [document.file for document in reading.documents] == [None]
    assert [path for path in spool.iterdir() if path.suffix == ".d"] == []


def test_nothing_is_left_in_the_scratch_folder(stub: None, spool: Path) -> None:
    (spool / "scratch").mkdir()
    (spool / "scratch" / "reader-old").mkdir()
    children = ChildReaders(shipped("rules"), (), NOBODY, scratch=spool / "scratch")
    list(children.read([_spooled(spool, _application("x"))]))
    children.close()
    assert list((spool / "scratch").iterdir()) == []


def test_without_a_scratch_folder_nothing_is_written(stub: None, spool: Path) -> None:
    children = ChildReaders(shipped("rules"), (), NOBODY)
    (reading,) = children.read([_spooled(spool, _application("x"))])
    children.close()
    assert isinstance(reading, Reading)
    assert [document.file for document in reading.documents] == [None]
    assert [path.suffix for path in spool.iterdir()] == [".eml"]


def test_a_file_of_any_name_is_known_by_its_octets(stub: None, tmp_path: Path) -> None:
    path = tmp_path / "Candidature reçue.eml"
    path.write_bytes(_application("x"))
    children = ChildReaders(shipped("rules"), (), NOBODY)
    (reading,) = children.read([path])
    children.close()
    assert isinstance(reading, Reading)
    assert reading.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


# --- Children that are lost -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("misdeed", "why"),
    [
        ("die", "died: SIGABRT"),
        ("hang", "killed: 2 s wall time"),
        ("raise", "ValueError"),
        ("eat", "MemoryError"),
        ("nonsense", "nonsense: no JSON object"),
        ("flood", "nonsense: more than 2000000 octets"),
        ("lie", "nonsense: ValueError"),
    ],
)
def test_a_message_that_defeats_its_reader_is_unread_and_the_next_is_unaffected(
    read: Read, misdeed: str, why: str
) -> None:
    results = read(*(_application(subject) for subject in ("before", misdeed, "after")))
    assert _subjects(results) == ["before", f"unread: {why}", "after"]


def test_a_reader_that_burns_its_time_is_ended(read: Read) -> None:
    limits = ReaderLimits(wall=30, retry_wall=30, cpu=1)
    assert _subjects(read(_application("burn"), limits=limits)) == ["unread: died: processor time"]


def test_a_message_that_kills_its_reader_once_is_read_at_the_second_try(read: Read) -> None:
    assert _subjects(read(_application("die once"), _application("after"))) == ["die once", "after"]


def test_a_document_that_kills_every_reader_is_damaged_and_the_others_are_read(read: Read) -> None:
    stream = zlib.compress(b"".join(b"%d 0 m %d 9 l S " % (number, number) for number in range(3_000_000)), 1)
    endless = (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n"
        b"4 0 obj<</Filter/FlateDecode/Length "
        + str(len(stream)).encode()
        + b">>stream\n"
        + stream
        + b"\nendstream endobj\ntrailer<</Root 1 0 R>>\n"
    )
    limits = ReaderLimits(wall=1, retry_wall=10, document_wall=2, memory=1 << 29)
    (reading,) = read(_application("x", ("CV.pdf", CV), ("endless.pdf", endless)), limits=limits)
    assert isinstance(reading, Reading)
    assert [document.state.value for document in reading.documents] == ["read", "damaged"]
    assert reading.documents[1].file == "2.bin"


def test_a_child_that_was_killed_from_outside_is_replaced(stub: None, spool: Path) -> None:
    children = ChildReaders(shipped("rules"), (), NOBODY, scratch=spool / "scratch", workers=1)
    list(children.read([_spooled(spool, _application("one"))]))
    (pid,) = _children_of(children)
    os.kill(pid, 9)
    assert _subjects(list(children.read([_spooled(spool, _application("two"))]))) == ["two"]
    children.close()


def test_a_child_ends_when_nothing_is_asked_and_another_takes_its_place(stub: None, spool: Path) -> None:
    children = ChildReaders(shipped("rules"), (), NOBODY, limits=ReaderLimits(idle=1), workers=1)
    list(children.read([_spooled(spool, _application("one"))]))
    (pid,) = _children_of(children)
    assert _ends(pid)
    assert _subjects(list(children.read([_spooled(spool, _application("two"))]))) == ["two"]
    children.close()


@pytest.mark.parametrize("limits", [ReaderLimits(messages=1), ReaderLimits(documents_alone=True)])
def test_a_child_lives_as_long_as_it_is_told(read: Read, limits: ReaderLimits) -> None:
    assert _subjects(read(*(_application(str(number)) for number in range(5)), limits=limits)) == list("01234")


def test_readings_that_nobody_waits_for_end_their_reader(stub: None, spool: Path) -> None:
    children = ChildReaders(shipped("rules"), (), NOBODY, limits=QUICK, workers=1)
    found = children.read([_spooled(spool, _application(subject)) for subject in ("one", "hang", "three")])
    assert next(found)
    found.close()
    assert _subjects(list(children.read([_spooled(spool, _application("four"))]))) == ["four"]
    children.close()


def test_a_message_that_is_no_longer_there_is_unread(read: Read, spool: Path) -> None:
    children = ChildReaders(shipped("rules"), (), NOBODY, workers=1)
    results = list(children.read([spool / "gone.eml", _spooled(spool, _application("x"))]))
    children.close()
    assert _subjects(results) == ["unread: no longer there: FileNotFoundError", "x"]


def test_a_full_disk_is_not_the_fault_of_a_message(stub: None, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(readers, "_moved", full)
    children = ChildReaders(shipped("rules"), (), NOBODY, scratch=spool / "scratch", workers=1)
    with pytest.raises(FileStoreError, match="No space left"):
        list(children.read([_spooled(spool, _application("x"))]))
    children.close()


def test_closing_leaves_no_process(stub: None, spool: Path) -> None:
    children = ChildReaders(shipped("rules"), (), NOBODY, workers=1)
    list(children.read([_spooled(spool, _application("one"))]))
    processes = [children._mould.pid, *_children_of(children)]
    children.close()
    assert len(processes) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)


def _children_of(children: ChildReaders) -> list[int]:
    pid = children._mould.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _ends(pid: int) -> bool:
    """Whether a process ends within ten seconds; as a zombie it waits to be asked for its status."""
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return True
        time.sleep(0.1)
    return False


def test_children_and_mould_end_when_nothing_is_asked(stub: None, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children = ChildReaders(shipped("rules"), (), NOBODY, limits=ReaderLimits(idle=0.2), workers=1)
    list(children.read([_spooled(spool, _application("one"))]))
    assert _ends(children._mould.pid)
    assert _subjects(list(children.read([_spooled(spool, _application("two"))]))) == ["two"]
    children.close()


def test_children_outlive_a_mould_that_was_killed_and_another_takes_its_place(stub: None, spool: Path) -> None:
    limits = ReaderLimits(messages=2)
    children = ChildReaders(shipped("rules"), (), NOBODY, limits=limits, scratch=spool / "scratch", workers=1)
    list(children.read([_spooled(spool, _application("one"))]))
    os.kill(children._mould.pid, 9)
    names = ("two", "three", "four")
    assert _subjects(list(children.read([_spooled(spool, _application(name)) for name in names]))) == list(names)
    children.close()


def test_an_installation_without_readers_says_so(monkeypatch: pytest.MonkeyPatch, spool: Path) -> None:
    monkeypatch.setattr(readers, "_command", lambda: [sys.executable, "-I", "-c", "raise SystemExit(3)"])
    children = ChildReaders(shipped("rules"), (), NOBODY)
    with pytest.raises(AgentError, match="do not start"):
        list(children.read([_spooled(spool, _application("x"))]))
    children.close()


# --- What a child may do ----------------------------------------------------------------------------------------


@pytest.mark.skipif(sandbox.confinement().warnings != (), reason="this machine lacks Landlock or seccomp")
def test_a_child_that_was_taken_over_gets_nowhere(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INBOX_AGENT_SECRET", "x")
    (reading,) = read(_application("escape"), limits=ReaderLimits())
    assert isinstance(reading, Reading)
    assert [evidence.found for evidence in reading.evidence] == [
        "socket: PermissionError",
        "exec: PermissionError",
        "fork: PermissionError",
        "read: PermissionError",
        "list: PermissionError",
        "write: PermissionError",
        "kill: PermissionError",
        "environment: KeyError",
    ]
    assert not Path("/tmp/inbox-agent-escape").exists()  # noqa: S108 it must not be there


@pytest.mark.skipif(ocr.tesseract() is None, reason="tesseract is not installed")
def test_a_child_that_may_run_nothing_reads_scans(spool: Path) -> None:
    scan = making.scanned_pdf(["Jeanne Dupont", "Expérience professionnelle", "2019 - 2023 Chargée de mission"])
    patient = ReaderLimits(ocr_seconds=50)  # Of a machine that has much else to do.
    children = ChildReaders(shipped("rules"), (), NOBODY, limits=patient, workers=1)
    results = list(children.read([_spooled(spool, _application(name, (name, scan))) for name in ("1.pdf", "2.pdf")]))
    children.close()
    assert [[document.state for document in reading.documents] for reading in results] == [[DocumentState.READ]] * 2


@pytest.mark.skipif(ocr.tesseract() is None, reason="tesseract is not installed")
def test_who_reads_scans_is_started_with_the_first_confined_and_ends_with_the_child(spool: Path) -> None:
    scan = making.scanned_pdf(["Jeanne Dupont", "Expérience professionnelle", "2019 - 2023 Chargée de mission"])
    children = ChildReaders(shipped("rules"), (), NOBODY, limits=ReaderLimits(ocr_seconds=50), workers=1)
    list(children.read([_spooled(spool, _application("text alone"))]))
    (child,) = _children_of(children)
    list(children.read([_spooled(spool, _application("a scan", ("1.pdf", scan)))]))
    (scanner,) = set(_children_of(children)) - {child}
    status = Path(f"/proc/{scanner}/status").read_text()
    children.close()
    assert "Seccomp:\t2" in status or not sandbox.confinement().seccomp
    assert not any(Path(f"/proc/{pid}").exists() for pid in (child, scanner))


def test_what_the_machine_lacks_is_a_warning() -> None:
    assert sandbox.Confinement(7, seccomp=True).warnings == ()
    assert len(sandbox.Confinement(None, seccomp=False).warnings) == 2


_CONFINE = """
import sys
if sys.argv[1] == "without seccomp":
    sys.modules["pyseccomp"] = None
from inbox_agent import sandbox
if sys.argv[1] == "without landlock":
    sandbox._ABI_QUERY = 1 << 20  # the kernel refuses it as one without Landlock does
told = sandbox.confine(sandbox.Ceiling(memory=1 << 30, file=1 << 20), writable=None)
print(told.landlock is not None, told.seccomp)
"""


@pytest.mark.skipif(sandbox.confinement().warnings != (), reason="this machine lacks Landlock or seccomp")
@pytest.mark.parametrize(
    ("machine", "told"),
    [("whole", "True True"), ("without seccomp", "True False"), ("without landlock", "False True")],
)
def test_a_machine_that_lacks_a_layer_uses_the_others(machine: str, told: str) -> None:
    done = subprocess.run([sys.executable, "-c", _CONFINE, machine], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == told


def test_a_child_that_is_started_ahead_is_the_one_that_reads(stub: None, spool: Path) -> None:
    children = ChildReaders(shipped("rules"), (), NOBODY)
    children.warm()
    ahead = children._children[0]
    assert _subjects(list(children.read([_spooled(spool, _application("x"))]))) == ["x"]
    assert children._children == [ahead]
    assert len(_children_of(children)) == 1
    children.close()


@pytest.mark.parametrize("made", ["link", "other size", "other name", "extra"])
def test_files_that_are_not_what_the_reading_says_are_not_believed(made: str, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    name = "../1.bin" if made == "other name" else "1.bin"
    (folder / "1.bin").write_bytes(b"abcd" if made == "other size" else b"abc")
    if made == "link":
        (folder / "1.bin").rename(tmp_path / "elsewhere")
        (folder / "1.bin").symlink_to(tmp_path / "elsewhere")
    if made == "extra":
        (folder / "2.bin").write_bytes(b"x")
    with pytest.raises((ValueError, OSError)):
        readers._settle(_reading(name), folder, tmp_path / "place")
    assert not (tmp_path / "place").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"subject": 3},
        {"notes": [None]},
        {"size": "3"},
        {"size": True},
        {"received": "2024-02-13T00:00:00"},
        {"candidate": {"name": 1, "given": "", "surname": "", "address": None}},
        {"evidence": [{"test": "x", "found": "y", "weight": "heavy"}]},
    ],
)
def test_a_reading_with_a_wrong_type_is_not_believed(change: dict[str, object]) -> None:
    value = _reading("1.bin").to_json()
    readers._check_types(Reading.from_json(value))
    with pytest.raises(TypeError):
        readers._check_types(Reading.from_json(value | change))


def _reading(file: str) -> Reading:
    document = Document(
        name="CV.pdf",
        kind=DocumentKind.CV,
        where=Where.ATTACHMENT,
        state=DocumentState.READ,
        pages=1,
        part="2",
        media_type="application/pdf",
        size=3,
        sha256="x",
        file=file,
        why=(Evidence("headings", "Formation", 1),),
    )
    return Reading(
        sha256="x",
        size=1,
        fingerprint="x",
        kind=Kind.APPLICATION,
        offer=None,
        candidate=None,
        sender=None,
        subject="",
        message_id=None,
        thread=(),
        language="fr",
        received=datetime(2024, 2, 13, tzinfo=UTC),
        date=None,
        documents=(document,),
        evidence=(Evidence("tried", "x", 1.5),),
    )


# --- The real child ---------------------------------------------------------------------------------------------


def test_one_message_is_explained_in_less_than_a_second(spool: Path) -> None:
    begun = time.monotonic()
    children = ChildReaders(shipped("rules"), (), NOBODY)
    (reading,) = children.read([_spooled(spool, making.eml(attachments=[("CV.pdf", CV)]))])
    children.close()
    assert isinstance(reading, Reading)
    assert [document.name for document in reading.documents if document.part != "body"] == ["CV.pdf"]
    assert json.dumps(reading.to_json())
    assert time.monotonic() - begun < 5  # 0.4 s alone; the machine may be busy
