"""Folder names of IMAP, ours and the server's."""

from __future__ import annotations

import pytest
from inbox_agent.adapters.folder_names import FolderNames, ListedFolder, special_folder

COURIER = FolderNames("INBOX.", ".")


@pytest.mark.parametrize(
    ("naming", "ours", "theirs"),
    [
        (FolderNames(), "INBOX", "INBOX"),
        (FolderNames(), "inbox", "INBOX"),
        (FolderNames(), "Candidatures/x/Complètes", "Candidatures/x/Complètes"),
        (COURIER, "INBOX", "INBOX"),
        (COURIER, "Candidatures/x", "INBOX.Candidatures.x"),
        (COURIER, "Candidatures/charge-v1.2", "INBOX.Candidatures.charge-v1-2"),
        (FolderNames("", "\\"), "a/b", "a\\b"),
        (FolderNames("", None), "a/b", "a-b"),
    ],
)
def test_our_name_becomes_the_servers(naming, ours, theirs):
    assert naming.theirs(ours) == theirs


@pytest.mark.parametrize("name", ["INBOX", "Candidatures/À vérifier", "a/b/c", "Envoyés"])
@pytest.mark.parametrize("naming", [FolderNames(), COURIER, FolderNames("", "."), FolderNames("INBOX/", "/")])
def test_a_name_comes_back_as_it_was(naming, name):
    assert naming.ours(naming.theirs(name)) == name


@pytest.mark.parametrize(
    ("separator", "names", "prefix"),
    [
        (".", ["INBOX", "INBOX.Sent", "INBOX.Drafts"], "INBOX."),
        (".", ["INBOX", "INBOX.Sent", "Shared"], ""),
        (".", ["INBOX"], ""),
        ("/", ["Inbox", "Inbox/Sent"], "Inbox/"),
        (None, ["INBOX", "Sent"], ""),
    ],
)
def test_a_server_without_namespace_shows_its_prefix(separator, names, prefix):
    assert FolderNames.shown_by(separator, names) == FolderNames(prefix, separator)


def test_of_two_folders_with_one_name_the_one_under_the_prefix_is_meant():
    for names in (["INBOX.Sent", "Sent"], ["Sent", "INBOX.Sent"]):
        lines = [(name.encode(), name, frozenset()) for name in names]
        assert COURIER.by_our_name(lines)["Sent"].wire == b"INBOX.Sent"


def folder(name, *attributes):
    return ListedFolder(name.encode(), name, frozenset(attributes))


def test_the_attribute_decides_before_the_name():
    folders = [folder("Drafts"), folder("[Gmail]/Brouillons", "\\drafts", "\\hasnochildren")]
    assert special_folder(folders, "\\Drafts") == "[Gmail]/Brouillons"


def test_a_usual_name_is_taken_the_highest_one_up_that_can_be_opened():
    folders = [folder("Archives/Sent"), folder("Sent", "\\noselect"), folder("Éléments envoyés"), folder("x/y/Sent")]
    assert special_folder(folders, "\\Sent") == "Archives/Sent"
    assert special_folder(folders, "\\Drafts") is None
    assert special_folder(folders, "\\Flagged") is None
