"""The archive on WebDAV and S3: what goes wrong with such servers. The contract: test_file_stores.py."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import PurePosixPath

import pytest
from inbox_agent.adapters.remote_files import remote_files
from inbox_agent.errors import FileStoreError, TryAgainError

from real_association import MESSAGES, Association
from servers.archives import PASSWORD, USER
from servers.archives import s3 as s3  # noqa: PLC0414 # Fixtures.
from servers.archives import source as source  # noqa: PLC0414
from servers.archives import webdav as webdav  # noqa: PLC0414

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

TARGET = PurePosixPath("charge-de-mission-2024/2024-02-13_DUPONT-Jeanne_0a1b2c/CV_DUPONT-Jeanne.pdf")


@pytest.fixture
def at():
    """Opens an archive and closes it."""
    opened = []

    def opening(url, password=PASSWORD):
        opened.append(remote_files(url, USER, lambda: password))
        return opened[-1]

    yield opening
    for files in opened:
        files.close()


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
        remote_files(url, USER, str)


def test_a_password_in_the_url_is_refused_and_not_repeated():
    with pytest.raises(FileStoreError, match=r"archive\.user") as caught:
        remote_files("webdavs://agent:hunter2@files.example.org/x", "", str)
    assert "hunter2" not in str(caught.value)


def test_an_unknown_kind_of_archive_is_told():
    with pytest.raises(FileStoreError, match="no known kind"):
        remote_files("ftp://files.example.org/x", "", str)


# --- the whole program ------------------------------------------------------------------------------------


@pytest.fixture
def association(tmp_path, dovecot, postfix):
    """An installation whose archive is at a URL."""

    def make(url: str) -> Association:
        made = Association(tmp_path, dovecot, postfix, mailbox="poll_seconds = 5\nidle = false\n")
        config = tmp_path / "config.toml"
        place = f'root = "{url}"\nuser = "{USER}"\npassword = {{ file = "archive-password" }}'
        config.write_text(config.read_text(encoding="utf-8").replace('root = "archive"', place), encoding="utf-8")
        (tmp_path / "archive-password").touch(mode=0o600)
        (tmp_path / "archive-password").write_text(PASSWORD)
        return made

    return make


def deliver(association: Association, *numbers: str) -> list[bytes]:
    return [association.append(next(MESSAGES.glob(f"{number}-*.eml")).read_bytes()) for number in numbers]


def trouble(association: Association) -> str:
    return "\n".join(json.loads(association.run("status", "--json", check=False).stdout)["troubles"])


def filed(files) -> list[bytes]:
    return [files.read(path) for path in files.list(PurePosixPath()) if path.name.startswith("message")]


def pass_later(association: Association) -> None:
    """A pass when everything that was put off is due again."""
    with closing(sqlite3.connect(association.folder / "state" / "journal.db")) as store, store:
        store.execute("UPDATE acts SET next_at = '2024-01-01T00:00:00.000000+00:00' WHERE state = 'pending'")
    assert json.loads(association.run("once", "--json").stdout)["pending"] == 0


def test_a_full_webdav_archive_is_told_and_what_waits_is_filed_when_there_is_room(association, at, webdav):
    url = webdav.fresh()
    asso = association(url)
    full = webdav.folder / "full"
    full.touch()
    try:
        delivered = deliver(asso, "01")
        asso.run("once", check=False)

        assert "it is full: free some space or raise the quota" in trouble(asso)
        assert asso.folders()["INBOX"] == 1
        assert asso.mail_of("claire.lefevre") == []
    finally:
        full.unlink()
    pass_later(asso)
    assert filed(at(url)) == delivered
    assert trouble(asso) == ""


def test_a_webdav_password_that_changed_is_told_and_the_new_one_is_used_without_a_restart(
    association, at, webdav, tmp_path
):
    url = webdav.fresh()
    asso = association(url)
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(asso.command("run"), stderr=log) as service:
        try:
            until(lambda: "Start the service" not in trouble(asso))
            webdav.stop()
            webdav.start(password="another")
            delivered = deliver(asso, "01")
            until(lambda: "Renew archive.password" in trouble(asso))
            assert asso.folders()["INBOX"] == 1
            assert PASSWORD not in trouble(asso) + (tmp_path / "log").read_text(encoding="utf-8")

            (tmp_path / "archive-password").write_text("another")
            until(lambda: filed(at(url, "another")) == delivered)
            until(lambda: asso.folders()["INBOX"] == 0)
        finally:
            service.terminate()
            webdav.stop()
            webdav.start()


def test_a_bucket_that_refuses_our_keys_is_told_and_nothing_is_lost(association, at, s3):
    url = s3.fresh()
    asso = association(url)
    s3.refuse_strangers()
    try:
        delivered = deliver(asso, "01")
        once = asso.run("once", check=False)

        assert once.returncode == 1
        assert re.search(r"archive\.(user|password)", once.stderr), once.stderr
        assert "InvalidAccessKeyId" not in once.stderr
        assert re.search(r"archive\.(user|password)", trouble(asso))
        assert asso.folders()["INBOX"] == 1
    finally:
        s3.allow_strangers()
    pass_later(asso)
    assert filed(at(url)) == delivered


def test_a_changed_secret_of_a_bucket_is_used_after_a_refusal_without_a_restart(s3):
    secrets = iter(["old", "new", "new"])
    files = remote_files(s3.fresh(), USER, lambda: next(secrets))
    s3.refuse_strangers()
    try:
        with pytest.raises(FileStoreError):
            files.check()
    finally:
        s3.allow_strangers()

    credentials = files._fs.s3._request_signer._credentials
    assert (credentials.access_key, credentials.secret_key) == (USER, "new")
    files.check()
    files.close()


def until(true, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(1)


@pytest.mark.parametrize("kind", ["webdav", "s3"])
def test_the_sample_messages_are_filed_there(request, association, at, kind):
    url = request.getfixturevalue(kind).fresh()
    association = association(url)
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
