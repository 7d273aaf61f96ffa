"""The contract of ports.FileStore, kept alike by a local folder, a WebDAV server and an S3 bucket."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from inbox_agent.adapters.files import LocalFiles
from inbox_agent.adapters.remote_files import remote_files
from inbox_agent.errors import FileStoreError

from servers.archives import PASSWORD, USER
from servers.archives import s3 as s3  # noqa: PLC0414 # Fixtures.
from servers.archives import source as source  # noqa: PLC0414
from servers.archives import webdav as webdav  # noqa: PLC0414

pytestmark = pytest.mark.timeout(120)

TARGET = PurePosixPath("charge-de-mission-2024/2024-02-13_DUPONT-Jeanne_0a1b2c/CV_DUPONT-Jeanne.pdf")


@pytest.fixture(
    params=["local", pytest.param("webdav", marks=pytest.mark.real), pytest.param("s3", marks=pytest.mark.real)]
)
def files(request, tmp_path):
    if request.param == "local":
        (tmp_path / "archive").mkdir()
        yield LocalFiles(tmp_path / "archive")
        return
    server = request.getfixturevalue(request.param)
    files = remote_files(server.fresh(), USER, lambda: PASSWORD)
    yield files
    files.close()


def test_a_file_is_put_under_its_name(files, source):
    files.put(source, TARGET)
    assert files.read(TARGET) == b"%PDF-1.7 octets"
    assert files.list(PurePosixPath()) == [TARGET]


def test_the_same_octets_again_are_nothing_to_do(files, source):
    files.put(source, TARGET)
    files.put(source, TARGET)
    assert files.list(PurePosixPath()) == [TARGET]


@pytest.mark.parametrize("there", [b"", b"%PDF-1.7 0ctets", b"%PDF-1.7 octets and more"])
def test_nothing_is_put_over_other_octets(files, source, there):
    files.write(TARGET, there)
    with pytest.raises(FileExistsError):
        files.put(source, TARGET)
    assert files.read(TARGET) == there


def test_a_file_never_takes_the_place_of_a_folder(files, source):
    files.put(source, TARGET)
    if "S3" in type(files).__name__:
        pytest.skip("S3 has no folders")
    with pytest.raises(FileExistsError):
        files.put(source, TARGET.parent)
    assert files.list(PurePosixPath()) == [TARGET]


def test_a_large_file_comes_back_whole(files, tmp_path):
    source = tmp_path / "large"
    source.write_bytes(bytes(range(256)) * 2**15 + b"end")
    files.put(source, TARGET)
    files.put(source, TARGET)
    assert files.read(TARGET) == source.read_bytes()


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a/..", "", ".", "a\0b"])
def test_no_path_leaves_the_root(files, source, path):
    for verb in (
        lambda: files.put(source, PurePosixPath(path)),
        lambda: files.write(PurePosixPath(path), b""),
        lambda: files.read(PurePosixPath(path)),
        lambda: files.move(PurePosixPath(path), TARGET),
        lambda: files.move(TARGET, PurePosixPath(path)),
        lambda: files.remove(PurePosixPath(path)),
    ):
        with pytest.raises(ValueError, match="no path within the archive"):
            verb()


@pytest.mark.parametrize(
    "name",
    ["CV.pdf", "Curriculum vitæ.pdf", "-rf", "a b", "e\u0301.pdf", "'(x)&", "100% moi.pdf", "n#1.pdf", "?.pdf", "%41"],
)
def test_any_single_name_is_only_a_name(files, source, name):
    files.put(source, PurePosixPath("offer", name))
    files.write(PurePosixPath("other", name), b"ours")
    assert files.list(PurePosixPath()) == [PurePosixPath("offer", name), PurePosixPath("other", name)]
    assert files.read(PurePosixPath("other", name)) == b"ours"


def test_write_replaces(files):
    files.write(TARGET, b"one")
    files.write(TARGET, b"two")
    assert files.read(TARGET) == b"two"
    assert files.list(PurePosixPath()) == [TARGET]


def test_what_is_not_there_reads_as_none_and_lists_as_nothing(files):
    assert files.read(TARGET) is None
    assert files.list(TARGET.parent) == []


def test_list_is_sorted_and_relative_to_the_root(files):
    for name in ("b/2", "b/1", "a/x/y", "c"):
        files.write(PurePosixPath(name), b"")
    assert [str(path) for path in files.list(PurePosixPath())] == ["a/x/y", "b/1", "b/2", "c"]
    assert [str(path) for path in files.list(PurePosixPath("b"))] == ["b/1", "b/2"]


def test_a_folder_moves_once_and_a_second_time_is_nothing_to_do(files):
    files.write(PurePosixPath("old/here/a"), b"a")
    files.write(PurePosixPath("old/here/b/c"), b"c")
    for _ in range(2):
        files.move(PurePosixPath("old/here"), PurePosixPath("new/there"))
    assert [str(path) for path in files.list(PurePosixPath())] == ["new/there/a", "new/there/b/c"]
    assert files.read(PurePosixPath("new/there/b/c")) == b"c"


def test_a_folder_never_moves_onto_another(files):
    files.write(PurePosixPath("old/a"), b"a")
    files.write(PurePosixPath("new/b"), b"b")
    with pytest.raises(FileExistsError):
        files.move(PurePosixPath("old"), PurePosixPath("new"))
    assert [str(path) for path in files.list(PurePosixPath())] == ["new/b", "old/a"]


def test_moving_what_was_never_there_is_an_error(files):
    with pytest.raises(FileStoreError, match="missing"):
        files.move(PurePosixPath("old"), PurePosixPath("new"))


def test_a_folder_is_removed_with_what_is_beneath(files):
    files.write(PurePosixPath("case/a/b"), b"")
    files.write(PurePosixPath("cases/kept"), b"")
    for _ in range(2):
        files.remove(PurePosixPath("case"))
    assert files.list(PurePosixPath()) == [PurePosixPath("cases/kept")]


def test_check_leaves_nothing_behind(files):
    files.check()
    assert files.list(PurePosixPath()) == []
    assert files.free() is None or files.free() > 0
