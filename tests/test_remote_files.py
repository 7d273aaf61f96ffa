"""The archive on WebDAV and S3: the contract of LocalFiles, on real servers; and what goes wrong with such servers."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

import pytest
from inbox_agent.adapters.files import LocalFiles
from inbox_agent.adapters.remote_files import remote_files
from inbox_agent.errors import FileStoreError, TryAgainError

from real_association import MESSAGES, Association
from servers.archives import PASSWORD, USER
from servers.archives import s3 as s3  # noqa: PLC0414 # Fixtures.
from servers.archives import webdav as webdav  # noqa: PLC0414

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

TARGET = PurePosixPath("charge-de-mission-2024/2024-02-13_DUPONT-Jeanne_0a1b2c/CV_DUPONT-Jeanne.pdf")


@pytest.fixture(params=["local", "webdav", "s3"])
def files(request, tmp_path):
    if request.param == "local":
        (tmp_path / "archive").mkdir()
        yield LocalFiles(tmp_path / "archive")
        return
    server = request.getfixturevalue(request.param)
    files = remote_files(server.fresh(), USER, PASSWORD)
    yield files
    files.close()


@pytest.fixture
def at():
    """Opens an archive and closes it."""
    opened = []

    def opening(url, password=PASSWORD):
        opened.append(remote_files(url, USER, password))
        return opened[-1]

    yield opening
    for files in opened:
        files.close()


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "1.bin"
    path.write_bytes(b"%PDF-1.7 octets")
    return path


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


def every_verb(files, source):
    return (
        files.check,
        lambda: files.put(source, TARGET),
        lambda: files.write(TARGET, b""),
        lambda: files.read(TARGET),
        lambda: files.list(PurePosixPath()),
    )


def test_a_changed_password_is_an_error_with_a_remedy_that_does_not_show_it(at, webdav, source):
    url = webdav.fresh()
    for verb in every_verb(at(url, "old-password"), source):
        with pytest.raises(FileStoreError, match=r"Renew archive\.password") as caught:
            verb()
        assert "old-password" not in str(caught.value)


def test_a_webdav_folder_that_is_missing_is_an_error_not_an_empty_archive(at, webdav, source):
    files = at(f"webdav://127.0.0.1:{webdav.port}/nowhere")
    for verb in (files.check, lambda: files.read(TARGET), lambda: files.list(PurePosixPath())):
        with pytest.raises(FileStoreError, match="it is missing"):
            verb()


def test_a_read_only_webdav_folder_is_an_error_with_a_remedy(at, webdav, source):
    url = webdav.fresh()
    webdav.stop()
    webdav.start(access="readonly")
    try:
        files = at(url)
        for verb in (files.check, lambda: files.put(source, TARGET)):
            with pytest.raises(FileStoreError, match="right to write"):
                verb()
    finally:
        webdav.stop()
        webdav.start()


def test_a_server_that_is_away_is_tried_again_and_works_when_it_is_back(at, webdav, source):
    url = webdav.fresh()
    files = at(url)
    files.check()
    webdav.stop()
    try:
        for verb in every_verb(files, source):
            with pytest.raises(TryAgainError, match="cannot be reached"):
                verb()
    finally:
        webdav.start()
    files.put(source, TARGET)
    assert files.read(TARGET) == source.read_bytes()


def test_a_bucket_that_is_missing_is_an_error_not_an_empty_archive(at, s3, source):
    for verb in every_verb(at(s3.url("no-such-bucket")), source):
        with pytest.raises(FileStoreError, match="it is missing"):
            verb()


def test_a_bucket_that_is_away_is_tried_again(at, source):
    files = at("s3://b/x?endpoint=http://127.0.0.1:1")
    with pytest.raises(TryAgainError, match="cannot be reached"):
        files.check()


@pytest.mark.parametrize("after", ["remote.copied.before"])
def test_a_move_on_s3_that_was_cut_off_is_finished_by_the_next(at, s3, monkeypatch, after):
    files = at(s3.fresh())
    files.write(PurePosixPath("old/a"), b"a")
    files.write(PurePosixPath("old/b"), b"b")
    with monkeypatch.context() as crash:
        crash.setattr("inbox_agent.failpoint._PLAN", f"{after}:1:eio")
        crash.setattr("inbox_agent.failpoint._reached", __import__("collections").Counter())
        with pytest.raises(TryAgainError):
            files.move(PurePosixPath("old"), PurePosixPath("new"))
    files.move(PurePosixPath("old"), PurePosixPath("new"))
    assert [str(path) for path in files.list(PurePosixPath())] == ["new/a", "new/b"]


@pytest.mark.parametrize("url", ["webdav://files.example.org/x", "s3://b/x?endpoint=http://files.example.org"])
def test_nothing_goes_to_another_machine_in_the_clear(url):
    with pytest.raises(FileStoreError, match="unencrypted"):
        remote_files(url, USER, PASSWORD)


def test_a_password_in_the_url_is_refused_and_not_repeated():
    with pytest.raises(FileStoreError, match=r"archive\.user") as caught:
        remote_files("webdavs://agent:hunter2@files.example.org/x", "", "")
    assert "hunter2" not in str(caught.value)


def test_an_unknown_kind_of_archive_is_told():
    with pytest.raises(FileStoreError, match="no known kind"):
        remote_files("ftp://files.example.org/x", "", "")


@pytest.mark.parametrize("kind", ["webdav", "s3"])
def test_the_sample_messages_are_filed_there(request, at, tmp_path, kind):
    url = request.getfixturevalue(kind).fresh()
    association = Association(tmp_path, request.getfixturevalue("dovecot"), request.getfixturevalue("postfix"))
    config = tmp_path / "config.toml"
    place = f'root = "{url}"\nuser = "{USER}"\npassword = {{ file = "archive-password" }}'
    config.write_text(config.read_text(encoding="utf-8").replace('root = "archive"', place), encoding="utf-8")
    (tmp_path / "archive-password").touch(mode=0o600)
    (tmp_path / "archive-password").write_text(PASSWORD)
    delivered = [association.append(path.read_bytes()) for path in sorted(MESSAGES.glob("*.eml"))]

    check = association.run("check")
    once = json.loads(association.run("once", "--json").stdout)

    assert "WRONG" not in check.stdout
    assert "can be written" in check.stdout
    assert (once["messages"], once["filed"], once["left"], once["pending"]) == (13, 9, 4, 0)
    files = at(url)
    there = files.list(PurePosixPath())
    mails = [files.read(path) for path in there if path.name.startswith("message")]
    assert len(mails) == 8
    assert set(mails) < set(delivered)
    assert {"index.html", "suivi.xlsx", "candidature.json"} < {path.name for path in there}
