"""The archive on this machine's disk: durable, private, never behind a link. The contract: test_file_stores.py."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path, PurePosixPath

import pytest
from inbox_agent.adapters.files import LocalFiles
from inbox_agent.errors import FileStoreError
from inbox_agent.ports import Filing

from servers.archives import source as source  # noqa: PLC0414 # A fixture.

TARGET = PurePosixPath("charge-de-mission-2024/2024-02-13_DUPONT-Jeanne_0a1b2c/CV_DUPONT-Jeanne.pdf")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    return folder


@pytest.fixture
def files(root):
    return LocalFiles(root)


@pytest.fixture
def other_disk(tmp_path):
    """A folder on another file system, where a link from here is impossible."""
    memory = Path("/dev/shm")  # noqa: S108 # Where Linux has a second file system for anybody.
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip(f"needs a second file system at {memory}")
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def full_disk(tmp_path):
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def synchronised(monkeypatch):
    """The paths that were handed to fsync, in order."""
    paths = []
    real = os.fsync

    def fsync(file):
        descriptor = file if isinstance(file, int) else file.fileno()
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_on_the_same_disk_is_linked_not_copied(files, root, source):
    files.put(source, TARGET)
    assert (root / TARGET).stat().st_ino == source.stat().st_ino


def test_a_file_from_another_disk_is_copied(files, root, other_disk):
    source = other_disk / "1.bin"
    source.write_bytes(os.urandom(3 * 2**20 + 1))
    files.put(source, TARGET)
    assert (root / TARGET).read_bytes() == source.read_bytes()
    assert [path.name for path in (root / TARGET).parent.iterdir()] == [TARGET.name]


def test_a_link_at_the_target_is_not_followed(files, root, source, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"%PDF-1.7 octets")
    (root / TARGET).parent.mkdir(parents=True)
    (root / TARGET).symlink_to(victim)
    with pytest.raises(FileExistsError):
        files.put(source, TARGET)


@pytest.mark.parametrize("verb", ["put", "write", "read", "list", "remove"])
def test_a_folder_that_is_a_link_is_refused(files, root, source, tmp_path, verb):
    outside = tmp_path / "outside" / TARGET.parts[1]
    outside.mkdir(parents=True)
    (root / TARGET.parts[0]).symlink_to(outside.parent)
    calls = {
        "put": lambda: files.put(source, TARGET),
        "write": lambda: files.write(TARGET, b""),
        "read": lambda: files.read(TARGET),
        "list": lambda: files.list(TARGET.parent),
        "remove": lambda: files.remove(TARGET.parent),
    }
    with pytest.raises(FileStoreError, match="a link stands where a folder should be"):
        calls[verb]()
    assert list(outside.iterdir()) == []


def test_a_source_that_is_a_link_is_refused(files, source, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(source)
    with pytest.raises(FileStoreError):
        files.put(link, TARGET)


@pytest.mark.parametrize(
    "name",
    [
        "CV.pdf",
        "Curriculum vitæ.pdf",
        "-rf",
        "a b",
        "*",
        "e\u0301.pdf",
        "œ.docx",
        "\u202egnp.exe",
        "x" * 255,
        " ",
        "'\"`$(x)",
    ],
)
def test_any_single_name_is_only_a_name(files, source, name):
    files.put(source, PurePosixPath("offer", name))
    files.write(PurePosixPath("other", name), b"ours")
    assert files.list(PurePosixPath()) == [PurePosixPath("offer", name), PurePosixPath("other", name)]


def test_a_name_that_is_too_long_is_an_error_with_a_remedy(files, source):
    with pytest.raises(FileStoreError, match="shorter"):
        files.put(source, PurePosixPath("x" * 256))


def test_put_synchronises_the_file_before_it_is_linked_and_then_every_folder_on_the_way(
    files, source, synchronised, monkeypatch
):
    link = os.link

    def linked(*args, **kwargs):
        synchronised.append("link")
        link(*args, **kwargs)

    monkeypatch.setattr(os, "link", linked)
    files.put(source, TARGET)
    assert synchronised[:2] == ["1.bin", "link"]
    assert sorted(synchronised[2:]) == sorted(["archive", TARGET.parts[0], TARGET.parts[1]])


def test_write_synchronises_before_the_rename_and_the_folder_after_it(files, synchronised, monkeypatch):
    rename = os.rename

    def renamed(*args, **kwargs):
        synchronised.append("rename")
        rename(*args, **kwargs)

    monkeypatch.setattr(os, "rename", renamed)
    files.write(PurePosixPath("index.html"), b"<html>")
    assert synchronised[1:] == ["rename", "archive"]


def test_what_a_crash_left_behind_is_neither_listed_nor_in_the_way(files, root, monkeypatch):
    with monkeypatch.context() as crash:
        crash.setattr(os, "rename", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            files.write(TARGET, b"one")
    assert len(names((root / TARGET).parent)) == 1
    assert files.list(PurePosixPath()) == []
    files.write(TARGET, b"two")
    assert names((root / TARGET).parent) == [TARGET.name]


def test_a_folder_is_removed_with_what_is_beneath_but_not_behind_a_link(files, root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    files.write(PurePosixPath("case/a/b"), b"")
    (root / "case" / "link").symlink_to(outside)
    for _ in range(2):
        files.remove(PurePosixPath("case"))
    assert names(root) == []
    assert names(outside) == ["kept"]


def test_files_are_private_unless_a_group_may_read(root, source):
    LocalFiles(root).put(source, PurePosixPath("private/a"))
    shared = LocalFiles(root, file_mode=0o640, folder_mode=0o2750)
    shared.write(PurePosixPath("shared/b"), b"")
    assert (mode(root / "private"), mode(root / "private/a")) == (0o700, 0o600)
    assert (mode(root / "shared"), mode(root / "shared/b")) == (0o2750, 0o640)


def test_the_modes_hold_whatever_the_umask(root, source):
    before = os.umask(0o077)
    try:
        shared = LocalFiles(root, file_mode=0o640, folder_mode=0o750)
        shared.put(source, PurePosixPath("a/b"))
    finally:
        os.umask(before)
    assert (mode(root / "a"), mode(root / "a/b")) == (0o750, 0o640)


def test_a_missing_root_is_an_error_not_an_empty_archive(tmp_path, source):
    files = LocalFiles(tmp_path / "gone")
    for verb in (
        files.check,
        files.free,
        lambda: files.put(source, TARGET),
        lambda: files.read(TARGET),
        lambda: files.list(PurePosixPath()),
        lambda: files.remove(TARGET),
    ):
        with pytest.raises(FileStoreError, match="it is missing: mount the share or restore the folder"):
            verb()


def test_a_full_disk_is_an_error_with_a_remedy_and_leaves_nothing_behind(full_disk, tmp_path):
    files = LocalFiles(full_disk)
    source = tmp_path / "big.bin"
    source.write_bytes(b"x" * 2**20)
    with pytest.raises(FileStoreError, match="free some space"):
        files.put(source, PurePosixPath("a"))
    with pytest.raises(FileStoreError, match="free some space"):
        files.write(PurePosixPath("b"), b"x" * 2**20)
    assert names(full_disk) == []
    assert files.free() <= 64 * 2**10


def test_a_folder_without_rights_is_an_error_with_a_remedy(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("drops from root to nobody")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(FileStoreError, match="give the agent's user the right to write there"):
            LocalFiles(folder).check()
    finally:
        os.seteuid(0)
        folder.rmdir()


def test_what_goes_wrong_with_one_filing_harms_no_other(files, root, source, tmp_path):
    (root / "taken").mkdir()
    (root / "taken" / "a").write_bytes(b"other octets")
    gone = tmp_path / "gone"
    filings = [
        Filing(PurePosixPath("offer/1"), ((source, "a"), (source, "b"))),
        Filing(PurePosixPath("taken"), ((source, "a"),)),
        Filing(PurePosixPath("offer/2"), ((source, "a"), (gone, "b"))),
        Filing(PurePosixPath("offer/3"), tuple((source, f"{number:03}") for number in range(300))),
    ]
    first, second, third, fourth = files.put_all(filings)
    assert (first, type(second), type(third), fourth) == (None, FileExistsError, FileStoreError, None)
    assert names(root / "offer/1") == ["a", "b"]
    assert (root / "taken" / "a").read_bytes() == b"other octets"
    assert len(names(root / "offer/3")) == 300


def test_hundreds_of_files_are_written_with_few_descriptors(files, root):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (500, before[1]))
    try:
        files.write_all([(PurePosixPath(f"offer/{number}/candidature.json"), b"{}") for number in range(600)])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len(names(root / "offer")) == 600


def test_copies_wait_for_the_disk_together_and_a_failed_one_leaves_nothing(files, root, other_disk):
    sources = [other_disk / name for name in ("1", "2")]
    for path in sources:
        path.write_bytes(os.urandom(1000))
    (root / "b").mkdir()
    (root / "b" / "name").mkdir()
    filings = [Filing(PurePosixPath(folder), ((path, "name"),)) for folder, path in zip("ab", sources, strict=True)]
    first, second = files.put_all(filings)
    assert (first, type(second)) == (None, FileExistsError)
    assert [path.name for path in root.rglob("*") if path.name.startswith(".tmp")] == []


def test_an_error_of_the_disk_files_nothing(files, root, source, monkeypatch):
    def fsync(_file):
        raise OSError(5, "Input/output error")

    (root / TARGET).parent.mkdir(parents=True)
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(FileStoreError, match="look at the system's log and at the backups"):
        files.put(source, TARGET)
    assert not (root / TARGET).exists()
