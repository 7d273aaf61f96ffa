"""One suite for every IMAP server (pymap, and Dovecot where marked), then what only a scripted one can do."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from imapclient import IMAPClient
from inbox_agent.adapters.imap import ImapMailbox, ImapSettings, PasswordLogin, TokenLogin
from inbox_agent.adapters.servers import demo_servers
from inbox_agent.errors import AgentError, AuthenticationError, TlsError, TryAgainError
from inbox_agent.ports import FolderState, Moved

from servers.scripted_imap import COURIER, FULL, OLD, Drop, Folder, Hang, ScriptedImap

ARRIVAL = datetime(2024, 2, 14, 23, 30, tzinfo=UTC)
MAIL = b"From: j@example.org\r\nMessage-ID: <one@example.org>\r\nSubject: Candidature\r\n\r\nBonjour\r\n"


@dataclass
class Account:
    """An empty account: how the agent reaches it, and how staff do."""

    settings: ImapSettings
    server: str

    def staff(self, folder="INBOX"):
        settings = self.settings
        client = IMAPClient(settings.host, settings.port, ssl=False, timeout=10)
        client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.login(settings.login.user, settings.login.password)
        client.select_folder(folder)
        return client

    def deliver(self, octets=MAIL, at=ARRIVAL):
        with self.staff() as client:
            client.append("INBOX", octets, msg_time=at)
            return client.search()[-1]


@pytest.fixture(params=["pymap", pytest.param("dovecot", marks=pytest.mark.real)])
def account(request):
    user = f"{uuid.uuid4().hex}@fresh.test"
    login = PasswordLogin(user, "fresh")
    if request.param == "dovecot":
        server = request.getfixturevalue("dovecot")
        yield Account(ImapSettings("127.0.0.1", server.imap, "none", login, read_timeout=10), "dovecot")
        return
    with demo_servers({user: "fresh"}) as servers:
        yield Account(ImapSettings("127.0.0.1", servers.imap_port, "none", login, read_timeout=10), "pymap")


@pytest.fixture
def mailbox(account):
    connected = ImapMailbox.connect(account.settings)
    connected.select("INBOX")
    yield connected
    connected.close()


def numbered(count):
    return [b"Message-ID: <%d@example.org>\r\nSubject: %d\r\n\r\n%d\r\n" % (n, n, n) for n in range(count)]


# The suite.


def test_an_empty_inbox_says_so(account):
    mailbox = ImapMailbox.connect(account.settings)
    state = mailbox.select("INBOX")
    assert state.exists == 0
    assert state.uidvalidity > 0
    assert mailbox.list_uids(1) == []
    mailbox.close()


def test_uids_are_listed_from_one_on_and_the_last_is_not_listed_again(account, mailbox):
    first, second = account.deliver(), account.deliver()
    assert mailbox.list_uids(1) == [first, second]
    assert mailbox.list_uids(second) == [second]
    assert mailbox.list_uids(second + 1) == []
    assert mailbox.list_uids(first, first) == [first]


def test_octets_come_as_they_were_delivered_and_the_message_stays_unread(account, mailbox):
    octets = b'Subject: caf\xe9\r\n\r\n.dot\r\n..two\r\n\r\n\xff\xfe{12}\r\n* BYE "\r\n)\r\n'
    uid = account.deliver(octets)
    assert mailbox.list_uids(1) == [uid]
    assert list(mailbox.fetch([uid])) == [(uid, octets)]
    with account.staff() as client:
        assert b"\\Seen" not in client.get_flags([uid])[uid]


def test_size_and_date_are_those_of_the_server(account, mailbox):
    uid = account.deliver(MAIL, datetime(2024, 2, 14, 23, 30, tzinfo=UTC))
    (listed,) = mailbox.listed(mailbox.list_uids(1))
    assert (listed.uid, listed.size, listed.internaldate) == (uid, len(MAIL), ARRIVAL)
    assert listed.internaldate.tzinfo is not None


def test_a_large_message_comes_in_chunks_octet_by_octet(account, mailbox, tmp_path):
    octets = MAIL + b"".join(b"%070d\r\n" % n for n in range(48_000))
    uid = account.deliver(octets)
    assert mailbox.list_uids(1) == [uid]
    before = mailbox.commands
    assert mailbox.fetch_to(uid, tmp_path / "1.eml") is True
    assert (tmp_path / "1.eml").read_bytes() == octets
    assert mailbox.commands - before == 5


def test_a_large_message_that_is_gone_leaves_no_file(account, mailbox, tmp_path):
    uid = account.deliver()
    assert mailbox.fetch_to(uid + 1, tmp_path / "1.eml") is False
    assert list(tmp_path.iterdir()) == []


def test_what_staff_removed_meanwhile_is_left_out(account, mailbox):
    kept, gone = account.deliver(), account.deliver()
    assert mailbox.list_uids(1) == [kept, gone]
    with account.staff() as client:
        client.delete_messages([gone])
        client.expunge()
    # A server may still show it, until it says EXPUNGE (RFC 9051 7.5.1).
    assert kept in [item.uid for item in mailbox.listed([kept, gone])]
    assert mailbox.list_uids(1) == [kept]
    assert [item.uid for item in mailbox.listed([kept, gone])] == [kept]
    assert [uid for uid, _ in mailbox.fetch([kept, gone])] == [kept]


def test_a_message_moves_into_a_new_folder_and_its_new_uid_is_told(account, mailbox):
    uid = account.deliver()
    assert mailbox.list_uids(1) == [uid]
    moved = mailbox.move([uid], "Candidatures/charge-2024/Complètes")
    state = mailbox.select("Candidatures/charge-2024/Complètes")
    (new,) = mailbox.list_uids(1)
    assert moved == {uid: Moved(state.uidvalidity, new)}
    assert list(mailbox.fetch([new])) == [(new, MAIL)]
    assert mailbox.select("INBOX").exists == 0


def test_a_moved_message_keeps_its_date_and_flags(account, mailbox):
    uid = account.deliver()
    assert mailbox.list_uids(1) == [uid]
    with account.staff() as client:
        client.add_flags([uid], [b"\\Flagged", b"important"])
    moved = mailbox.move([uid], "Candidatures/À vérifier")
    mailbox.select("Candidatures/À vérifier")
    assert mailbox.listed([moved[uid].uid])[0].internaldate == ARRIVAL
    folder = account.staff("Candidatures/À vérifier")
    assert {b"\\Flagged", b"important"} <= set(folder.get_flags([moved[uid].uid])[moved[uid].uid])
    folder.logout()


def test_messages_move_together_by_one_command(account, mailbox):
    uids = [account.deliver(octets) for octets in numbered(5)]
    assert mailbox.list_uids(1) == uids
    mailbox.move(uids[:1], "Candidatures/x")
    before = mailbox.commands
    moved = mailbox.move(uids[1:], "Candidatures/x")
    assert mailbox.commands - before == 1
    mailbox.select("Candidatures/x")
    found = dict(mailbox.fetch(mailbox.list_uids(1)))
    assert [found[moved[uid].uid] for uid in uids[1:]] == numbered(5)[1:]


def test_more_messages_than_one_command_takes(account, mailbox):
    with account.staff() as client:
        for octets in numbered(230):
            client.append("INBOX", octets, msg_time=ARRIVAL)
    uids = mailbox.list_uids(1)
    assert len(mailbox.listed(uids)) == 230
    assert len(list(mailbox.fetch(uids))) == 230
    assert None not in mailbox.move(uids, "Candidatures/x").values()
    assert mailbox.list_uids(1) == []
    assert mailbox.state("Candidatures/x").exists == 230


def test_a_message_that_moved_already_is_told_as_none(account, mailbox):
    uid = account.deliver()
    assert mailbox.list_uids(1) == [uid]
    mailbox.move([uid], "Candidatures/x")
    assert mailbox.move([uid], "Candidatures/x") == {uid: None}
    assert mailbox.state("Candidatures/x").exists == 1


def test_a_message_that_staff_moved_is_told_as_none_and_the_other_moves(account, mailbox):
    theirs, ours = account.deliver(), account.deliver()
    assert mailbox.list_uids(1) == [theirs, ours]
    with account.staff() as client:
        client.create_folder("Personnel")
        client.move([theirs], "Personnel")
    moved = mailbox.move([theirs, ours], "Candidatures/x")
    assert moved[theirs] is None
    assert moved[ours] is not None


def test_a_move_into_the_same_folder_changes_nothing(account, mailbox):
    uid = account.deliver()
    assert mailbox.list_uids(1) == [uid]
    assert mailbox.move([uid, uid + 1], "INBOX") == {
        uid: Moved(mailbox.select("INBOX").uidvalidity, uid),
        uid + 1: None,
    }
    assert mailbox.list_uids(1) == [uid]


def test_the_selected_folder_stays_selected_while_another_is_searched(account, mailbox):
    uid = account.deliver()
    mailbox.append("Candidatures/x", MAIL, [], ARRIVAL)
    assert len(mailbox.find("Candidatures/x", "<one@example.org>")) == 1
    assert mailbox.list_uids(1) == [uid]


def test_find_wants_the_whole_message_id(account, mailbox):
    uid = account.deliver()
    assert mailbox.find("INBOX", "<one@example.org>") == [uid]
    assert mailbox.find("INBOX", "one@example") == []
    assert mailbox.find("INBOX", '<"two"\\@example.org>') == []
    assert mailbox.find("INBOX", "<one@example.org>\r\nA1 LOGOUT") == []
    assert mailbox.find("Nowhere", "<one@example.org>") == []


def test_a_draft_is_added_with_flag_date_and_uid_in_a_folder_that_is_made(account, mailbox):
    uid = mailbox.append("Brouillons", MAIL, ["\\Draft"], ARRIVAL)
    assert mailbox.find("Brouillons", "<one@example.org>") == [uid]
    with account.staff("Brouillons") as client:
        answer = client.fetch([uid], ["FLAGS", "INTERNALDATE", "BODY.PEEK[]"])[uid]
    assert b"\\Draft" in answer[b"FLAGS"]
    assert answer[b"BODY[]"] == MAIL


@pytest.mark.parametrize("name", ["Brouillons", "Dossiers/Brouillons", "drafts"])
def test_drafts_are_found_by_name_in_french_or_english(account, mailbox, name):
    if account.server == "dovecot":
        pytest.skip("has the attribute of RFC 6154")
    with account.staff() as client:
        client.create_folder(name)
    assert mailbox.special("\\Drafts") == name
    assert mailbox.special("\\Sent") is None


def test_a_special_folder_is_found_by_its_attribute_whatever_its_name(account, mailbox):
    if account.server == "pymap":
        pytest.skip("pymap has no SPECIAL-USE")
    assert mailbox.special("\\Drafts") == "Drafts"
    assert mailbox.special("\\Sent") == "Envoi"
    assert mailbox.special("\\Junk") is None


def test_folders_have_our_names(account, mailbox):
    mailbox.append("Candidatures/À vérifier", MAIL, [], ARRIVAL)
    assert {"INBOX", "Candidatures/À vérifier"} <= set(mailbox.folders())


def test_a_folder_is_asked_about_without_being_opened(account, mailbox):
    uid = mailbox.append("Candidatures/x", MAIL, [], ARRIVAL)
    state = mailbox.state("Candidatures/x")
    assert (state.exists, state.uidnext) == (1, uid + 1)
    assert mailbox.state("Nowhere") is None


def test_a_folder_that_is_missing_is_an_error_that_names_it(mailbox):
    with pytest.raises(AgentError, match="there is no folder Nowhere at 127"):
        mailbox.select("Nowhere")
    assert mailbox.select("INBOX").exists == 0


def test_since_begins_a_day_early(account, mailbox):
    days = [account.deliver(MAIL, ARRIVAL + timedelta(days=n)) for n in (-3, -1, 0, 2)]
    assert mailbox.since(ARRIVAL) == days[1:]


def test_a_glance_tells_a_change_in_a_tree_from_one_beside_it(account, mailbox):
    mailbox.append("Candidatures/x", MAIL, (), ARRIVAL)
    before = mailbox.glance("Candidatures")
    if before is None:
        pytest.skip("pymap has no LIST-STATUS")
    mailbox.append("Autres", MAIL, (), ARRIVAL)
    assert mailbox.glance("Candidatures") == before

    mailbox.append("Candidatures/x", MAIL, (), ARRIVAL)
    one_more = mailbox.glance("Candidatures")
    assert one_more != before
    mailbox.append("Candidatures/y", MAIL, (), ARRIVAL)
    assert mailbox.glance("Candidatures") not in (before, one_more)


def test_waiting_ends_when_mail_comes(account, mailbox):
    with account.staff() as client:
        timer = threading.Timer(0.3, client.append, ("INBOX", MAIL))
        timer.start()
        start = time.monotonic()
        assert mailbox.wait(10) is True
        assert time.monotonic() - start < 5
        timer.join()
    assert len(mailbox.list_uids(1)) == 1


def test_waiting_ends_in_time_when_nothing_comes(mailbox):
    start = time.monotonic()
    assert mailbox.wait(0.4) is False
    assert 0.4 <= time.monotonic() - start < 2
    assert mailbox.list_uids(1) == []


def test_closing_twice_is_no_error(account):
    mailbox = ImapMailbox.connect(account.settings)
    mailbox.close()
    mailbox.close()


def test_a_wrong_password_is_told_apart(account):
    wrong = replace(account.settings, login=PasswordLogin(account.settings.login.user, "wrong"))
    with pytest.raises(AuthenticationError, match="check user and password") as error:
        ImapMailbox.connect(wrong)
    assert f"127.0.0.1:{account.settings.port}" in str(error.value)


def test_neither_password_nor_mail_reach_the_log(account, caplog):
    caplog.set_level(logging.DEBUG)
    mailbox = ImapMailbox.connect(account.settings)
    mailbox.select("INBOX")
    uid = account.deliver()
    list(mailbox.fetch([uid]))
    mailbox.find("INBOX", "<one@example.org>")
    mailbox.move([uid], "Candidatures/Éléonore")
    mailbox.close()
    ours = "\n".join(record.getMessage() for record in caplog.records if "pymap" not in record.name)
    for secret in ("fresh", "one@example.org", "Bonjour", "onore"):
        assert secret not in ours


# Passwords and TLS.


def test_a_password_with_accents_is_sent_by_authenticate_plain():
    with demo_servers({"d@x.fr": "mot de passé"}) as servers:
        login = PasswordLogin("d@x.fr", "mot de passé")
        ImapMailbox.connect(ImapSettings("127.0.0.1", servers.imap_port, "none", login)).close()


def test_a_password_with_a_line_break_is_refused_before_it_is_sent():
    with pytest.raises(AuthenticationError, match="line break"):
        PasswordLogin("d@x.fr", "secret\n")


def test_neither_passwords_nor_tokens_show_in_representations():
    settings = ImapSettings("h", 1, "implicit", PasswordLogin("d@x.fr", "tres-secret"))
    assert "tres-secret" not in repr(settings)
    assert "tres-secret" not in repr(TokenLogin("d@x.fr", lambda: "tres-secret"))


@pytest.mark.parametrize("host", ["imap.example.org", "192.168.1.10", "10.0.0.1", "127.0.0.1.example.org"])
def test_clear_text_is_refused_beyond_this_machine(host):
    with pytest.raises(TlsError, match="clear text"):
        ImapMailbox.connect(ImapSettings(host, 143, "none", PasswordLogin("d", "p")))


@pytest.mark.real
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_tls_with_an_authority_of_ones_own(dovecot, tls):
    port = dovecot.imaps if tls == "implicit" else dovecot.imap
    login = PasswordLogin("other@lab.test", "mot de passé")
    mailbox = ImapMailbox.connect(ImapSettings("127.0.0.1", port, tls, login, ca_file=dovecot.ca_file))
    assert mailbox.select("INBOX").uidvalidity > 0
    assert mailbox.wait(0.2) is False
    mailbox.close()


@pytest.mark.real
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_certificate_that_nobody_we_trust_signed_is_refused(dovecot, tls):
    port = dovecot.imaps if tls == "implicit" else dovecot.imap
    with pytest.raises(TlsError, match="set ca_file to the authority that signed it"):
        ImapMailbox.connect(ImapSettings("127.0.0.1", port, tls, PasswordLogin("d", "p")))


@pytest.mark.real
def test_a_certificate_for_another_name_is_refused(dovecot):
    another = ImapSettings("127.1", dovecot.imaps, "implicit", PasswordLogin("d", "p"), ca_file=dovecot.ca_file)
    with pytest.raises(TlsError, match="the name that it was made for"):
        ImapMailbox.connect(another)


def test_a_certificate_file_that_is_missing_or_none_is_named(tmp_path):
    (tmp_path / "not.pem").write_text("nothing")
    for name in ("gone.pem", "not.pem"):
        settings = ImapSettings("127.0.0.1", 1, "implicit", PasswordLogin("d", "p"), ca_file=tmp_path / name)
        with pytest.raises(TlsError, match=f"{name}.*check ca_file"):
            ImapMailbox.connect(settings)


def test_tls_towards_a_port_in_the_clear_says_what_to_set():
    with demo_servers({}) as servers:
        settings = ImapSettings("127.0.0.1", servers.imap_port, "implicit", PasswordLogin("d", "p"))
        with pytest.raises(TlsError, match='check the port, or set tls to "starttls"'):
            ImapMailbox.connect(settings)


# What only a scripted server can do.


_opened = []


@pytest.fixture(autouse=True)
def closed():
    """Closes what `connect` opened."""
    yield
    while _opened:
        _opened.pop().close()


def connect(server, **changes):
    settings = ImapSettings("127.0.0.1", server.port, "none", PasswordLogin("d", "right"), read_timeout=5)
    _opened.append(ImapMailbox.connect(replace(settings, **changes)))
    return _opened[-1]


@pytest.fixture
def courier():
    """Prefix INBOX., separator ".", no MOVE."""
    with ScriptedImap(capabilities=COURIER, prefix="INBOX.", separator=".") as server:
        yield server


def test_prefix_and_separator_of_the_server_are_kept(courier):
    uid = courier.folders["INBOX"].add(MAIL)
    mailbox = connect(courier)
    mailbox.select("INBOX")
    moved = mailbox.move([uid], "Candidatures/charge-v1.2/Complètes")
    assert moved == {uid: Moved(2000, 1)}
    assert list(courier.folders) == ["INBOX", "INBOX.Candidatures.charge-v1-2.Compl&AOg-tes"]
    assert mailbox.folders() == ["Candidatures/charge-v1-2/Complètes", "INBOX"]
    assert mailbox.find("Candidatures/charge-v1.2/Complètes", "<one@example.org>") == [1]


def test_without_move_a_message_is_copied_and_only_it_is_expunged(courier):
    inbox = courier.folders["INBOX"]
    ours, theirs = inbox.add(MAIL), inbox.add(b"theirs")
    inbox.mails[1].flags.add("\\Deleted")
    mailbox = connect(courier)
    mailbox.select("INBOX")
    assert mailbox.move([ours], "x") == {ours: Moved(2000, 1)}
    assert [mail.uid for mail in inbox.mails] == [theirs]
    assert "EXPUNGE" not in courier.commands


def test_the_special_folders_of_courier_are_found_by_name(courier):
    courier.folders["INBOX.&AMk-l&AOk-ments envoy&AOk-s"] = Folder()
    assert connect(courier).special("\\Sent") == "Éléments envoyés"


def test_a_folder_that_is_open_for_reading_is_left_before_a_message_is_added_to_it(courier):
    def append(_, tag, __):
        opened = [command for command in courier.commands if command.startswith(("SELECT", "EXAMINE"))]
        return [f"{tag} NO Current box is selected READ-ONLY.".encode()] if opened[-1].startswith("EXAMINE") else None

    courier.hooks["APPEND"] = append
    courier.folders["INBOX.Drafts"] = Folder()
    mailbox = connect(courier)
    mailbox.select("INBOX")
    assert mailbox.find("Drafts", "<one@example.org>") == []
    assert mailbox.append("Drafts", MAIL, ("\\Draft",), ARRIVAL) == 1
    assert [mail.octets for mail in courier.folders["INBOX.Drafts"].mails] == [MAIL]


def test_a_copy_that_an_earlier_attempt_left_is_not_copied_again(courier):
    uid = courier.folders["INBOX"].add(MAIL)
    courier.folders["INBOX.x"] = Folder(uidvalidity=7)
    left = courier.folders["INBOX.x"].add(MAIL)
    mailbox = connect(courier)
    mailbox.select("INBOX")
    assert mailbox.move([uid], "x") == {uid: Moved(7, left)}
    assert len(courier.folders["INBOX.x"].mails) == 1
    assert courier.folders["INBOX"].mails == []


def test_another_message_with_the_same_message_id_is_not_taken_for_a_copy(courier):
    uid = courier.folders["INBOX"].add(MAIL)
    courier.folders["INBOX.x"] = Folder()
    courier.folders["INBOX.x"].add(MAIL.replace(b"Bonjour", b"Bonsoir"))
    mailbox = connect(courier)
    mailbox.select("INBOX")
    assert mailbox.move([uid], "x") == {uid: Moved(1000, 2)}
    assert [mail.octets for mail in courier.folders["INBOX.x"].mails][1] == MAIL


def test_two_messages_of_the_same_octets_are_both_moved(courier):
    inbox = courier.folders["INBOX"]
    uids = [inbox.add(MAIL), inbox.add(MAIL)]
    mailbox = connect(courier)
    mailbox.select("INBOX")
    assert mailbox.move(uids, "x") == {1: Moved(2000, 1), 2: Moved(2000, 2)}
    assert inbox.mails == []


@pytest.fixture
def old():
    """An IMAP server without any extension."""
    with ScriptedImap(capabilities=OLD, codes=False) as server:
        yield server


def test_a_server_without_extensions_serves(old):
    inbox = old.folders["INBOX"]
    uids = [inbox.add(octets) for octets in numbered(3)]
    mailbox = connect(old)
    mailbox.select("INBOX")
    assert mailbox.move(uids, "x") == {1: Moved(2000, 1), 2: Moved(2000, 2), 3: Moved(2000, 3)}
    assert inbox.mails == []
    assert mailbox.append("x", MAIL, [], ARRIVAL) is None
    start = time.monotonic()
    mailbox.wait(0.3)
    assert 0.3 <= time.monotonic() - start < 2


def test_without_uidplus_others_deleted_mail_is_not_expunged(old):
    inbox = old.folders["INBOX"]
    ours, theirs = inbox.add(MAIL), inbox.add(b"theirs")
    inbox.mails[1].flags.add("\\Deleted")
    mailbox = connect(old)
    mailbox.select("INBOX")
    assert mailbox.move([ours], "x") == {ours: Moved(2000, 1)}
    assert [mail.uid for mail in inbox.mails] == [ours, theirs]
    assert "\\Deleted" in inbox.mails[0].flags


def test_a_server_that_hides_its_prefix_shows_it_in_its_folders():
    folders = {"INBOX": Folder(), "INBOX.Sent": Folder()}
    with ScriptedImap(capabilities=OLD, prefix="INBOX.", separator=".", folders=folders) as server:
        mailbox = connect(server)
        assert mailbox.folders() == ["INBOX", "Sent"]
        mailbox.append("Candidatures/x", MAIL, [], ARRIVAL)
    assert "INBOX.Candidatures.x" in folders


def test_a_move_without_copyuid_is_verified_in_the_target():
    with ScriptedImap(codes=False) as server:
        server.folders["x"] = Folder()
        server.folders["x"].add(MAIL)
        uids = [server.folders["INBOX"].add(octets) for octets in numbered(2)]
        mailbox = connect(server)
        mailbox.select("INBOX")
        mailbox.listed(uids)
        assert mailbox.move(uids, "x") == {1: Moved(1000, 2), 2: Moved(1000, 3)}


def test_a_server_that_moves_nothing_and_says_ok_is_found_out():
    hooks = {"UID MOVE": lambda _, tag, __: [f"{tag} OK done".encode()]}
    with ScriptedImap(hooks=hooks) as server:
        uid = server.folders["INBOX"].add(MAIL)
        mailbox = connect(server)
        mailbox.select("INBOX")
        with pytest.raises(TryAgainError, match="left 1 of 1 messages where they were"):
            mailbox.move([uid], "x")


def test_nothing_is_deleted_that_has_no_copy(old):
    old.hooks["UID COPY"] = lambda _, tag, __: [f"{tag} OK done".encode()]
    uid = old.folders["INBOX"].add(MAIL)
    mailbox = connect(old)
    mailbox.select("INBOX")
    with pytest.raises(TryAgainError, match="left 1 of 1"):
        mailbox.move([uid], "x")
    assert old.folders["INBOX"].mails[0].flags == set()


def test_a_target_that_staff_deleted_meanwhile_is_made_again():
    with ScriptedImap() as server:
        uids = [server.folders["INBOX"].add(octets) for octets in numbered(2)]
        mailbox = connect(server)
        mailbox.select("INBOX")
        mailbox.move(uids[:1], "x")
        del server.folders["x"]
        assert mailbox.move(uids[1:], "x") == {2: Moved(2000, 1)}


def test_a_full_mailbox_is_an_error_with_a_remedy():
    hooks = {"UID MOVE": lambda _, tag, __: [f"{tag} NO [OVERQUOTA] too much".encode()]}
    with ScriptedImap(hooks=hooks) as server:
        uid = server.folders["INBOX"].add(MAIL)
        mailbox = connect(server)
        mailbox.select("INBOX")
        with pytest.raises(AgentError, match="free some space or raise its quota") as error:
            mailbox.move([uid], "x")
        assert not isinstance(error.value, TryAgainError)
        assert mailbox.list_uids(1) == [uid]


def test_a_goodbye_while_waiting_ends_the_wait_with_an_error():
    def idle(conversation, _tag, _command):
        conversation.say(b"+ idling")
        time.sleep(0.1)
        conversation.say(b"* BYE idle for too long")
        raise Drop

    with ScriptedImap(hooks={"IDLE": idle}) as server:
        mailbox = connect(server)
        mailbox.select("INBOX")
        with pytest.raises(TryAgainError, match="said goodbye while waiting for mail"):
            mailbox.wait(10)
        with pytest.raises(TryAgainError, match="no longer usable"):
            mailbox.list_uids(1)


def test_a_connection_closed_while_waiting_is_no_hot_loop():
    def idle(conversation, _tag, _command):
        conversation.say(b"+ idling")
        raise Drop

    with ScriptedImap(hooks={"IDLE": idle}) as server:
        mailbox = connect(server)
        mailbox.select("INBOX")
        start = time.process_time()
        with pytest.raises(TryAgainError, match="broke off while waiting for mail"):
            mailbox.wait(10)
        assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "said",
    [
        [b"* 1 EXISTS", b"+ idling"],
        [b"+ idling", b"* OK Still here", b"* 1 EXISTS"],
        [b"+ idling", b"* 1 RECENT", b"* 1 EXISTS"],
    ],
)
def test_news_is_heard_wherever_it_comes_in_idle(said):
    def idle(conversation, tag, _command):
        conversation.connection.sendall(b"".join(line + b"\r\n" for line in said))
        conversation.file.readline()
        return [f"{tag} OK done".encode()]

    with ScriptedImap(hooks={"IDLE": idle}) as server:
        mailbox = connect(server)
        mailbox.select("INBOX")
        start = time.monotonic()
        assert mailbox.wait(10) is True
        assert time.monotonic() - start < 5


def test_news_is_heard_after_a_silence_longer_than_a_command_may_take():
    def idle(conversation, tag, _command):
        conversation.say(b"+ idling")
        time.sleep(0.6)
        conversation.say(b"* 1 EXISTS")
        conversation.file.readline()
        return [f"{tag} OK done".encode()]

    with ScriptedImap(hooks={"IDLE": idle}) as server:
        mailbox = connect(server, command_timeout=0.3)
        mailbox.select("INBOX")
        assert mailbox.wait(10) is True


def test_news_that_comes_only_at_the_end_of_idle_counts():
    def idle(conversation, tag, _command):
        conversation.say(b"+ idling")
        conversation.file.readline()
        return [b"* 1 EXISTS", f"{tag} OK done".encode()]

    with ScriptedImap(hooks={"IDLE": idle}) as server:
        mailbox = connect(server)
        mailbox.select("INBOX")
        assert mailbox.wait(0.2) is True


@pytest.mark.parametrize(
    "answer",
    [
        b"* 1 FETCH (UID 1 BODY[] {9999999999999}",
        b"* 1 FETCH (UID 1 BODY[] {3}\r\nabcdefgh)",
        b"* 1 FETCH (UID 1 BODY[] {30}\r\nabc)",
        b"* 1 FETCH (UID x BODY[] NIL)",
        b"* 1 FETCH (UID 1 BODY[] (NIL",
        b"* 1 FETCH NIL",
        b"* 1 FETCH",
        b"* FETCH",
        b"\xff\xfe",
        b"+ more",
    ],
)
def test_an_answer_that_makes_no_sense_gives_no_octets_and_no_other_error(answer):
    def fetch(conversation, tag, _command):
        return [answer, f"{tag} OK done".encode()]

    with ScriptedImap(hooks={"UID FETCH": fetch}) as server:
        server.folders["INBOX"].add(MAIL)
        mailbox = connect(server, read_timeout=0.5)
        mailbox.select("INBOX")
        with contextlib.suppress(TryAgainError):
            assert list(mailbox.fetch([1])) == []


def test_more_than_a_million_octets_of_uids_are_listed():
    def search(_conversation, tag, _command):
        return [b"* SEARCH " + b" ".join(b"%d" % uid for uid in range(1, 200_001)), f"{tag} OK done".encode()]

    with ScriptedImap(hooks={"UID SEARCH": search}) as server:
        mailbox = connect(server)
        mailbox.select("INBOX")
        assert len(mailbox.list_uids(1)) == 200_000


def test_an_answer_that_drips_is_given_up_as_a_whole():
    def search(conversation, _tag, _command):
        while True:
            conversation.connection.sendall(b"*")
            time.sleep(0.1)

    with ScriptedImap(hooks={"UID SEARCH": search}) as server:
        mailbox = connect(server, read_timeout=1, command_timeout=1.5)
        mailbox.select("INBOX")
        start = time.monotonic()
        with pytest.raises(TryAgainError, match="too slow while listing messages"):
            mailbox.list_uids(1)
        assert 1 < time.monotonic() - start < 3


def test_a_renumbered_folder_is_never_read_under_its_old_numbers():
    with ScriptedImap() as server:
        server.folders["INBOX"].add(MAIL)
        mailbox = connect(server)
        mailbox.select("INBOX")
        mailbox.find("INBOX", "<one@example.org>")  # Opens it for reading: what follows must open it again.
        server.folders["INBOX"].uidvalidity = 1001
        with pytest.raises(TryAgainError, match="renumbered the folder"):
            mailbox.list_uids(1)


def test_a_folder_renumbered_while_it_is_open_is_noticed():
    hooks = {"NOOP": lambda _, tag, __: [b"* OK [UIDVALIDITY 4711] new", f"{tag} OK done".encode()]}
    with ScriptedImap(hooks=hooks) as server:
        mailbox = connect(server)
        mailbox.select("INBOX")
        with pytest.raises(TryAgainError, match="renumbered the folder"):
            mailbox.list_uids(1)


def test_selecting_a_renumbered_folder_tells_its_new_number():
    with ScriptedImap() as server:
        mailbox = connect(server)
        mailbox.select("INBOX")
        server.folders["INBOX"].uidvalidity = 1001
        assert mailbox.select("INBOX") == FolderState(1001, 1, 0)


def test_a_folder_without_uidvalidity_is_refused():
    hooks = {"SELECT": lambda _, tag, __: [b"* 0 EXISTS", b"* 0 RECENT", f"{tag} OK done".encode()]}
    with ScriptedImap(hooks=hooks) as server, pytest.raises(AgentError, match="tells no UIDVALIDITY"):
        connect(server).select("INBOX")


def test_a_read_only_folder_is_refused_with_a_remedy():
    def select(_conversation, tag, _command):
        return [b"* 0 EXISTS", b"* OK [UIDVALIDITY 1] x", f"{tag} OK [READ-ONLY] done".encode()]

    with ScriptedImap(hooks={"SELECT": select}) as server, pytest.raises(AgentError, match="is read-only"):
        connect(server).select("INBOX")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("NO [AUTHENTICATIONFAILED] no", AuthenticationError),
        ("NO [EXPIRED] password is too old", AuthenticationError),
        ("NO [CONTACTADMIN] locked", AuthenticationError),
        ("NO LOGIN failed.", AuthenticationError),
        ("NO Nom d'utilisateur ou mot de passe incorrect", AuthenticationError),
        ("NO [UNAVAILABLE] Temporary authentication failure.", TryAgainError),
        ("NO [INUSE] wait", TryAgainError),
        ("NO [LIMIT] wait", TryAgainError),
        ("NO [ALERT] Too many simultaneous connections. (Failure)", TryAgainError),
        ("BAD User is authenticated but not connected.", TryAgainError),
        ("NO [PRIVACYREQUIRED] TLS first", TlsError),
    ],
)
def test_a_refused_login_is_told_apart_from_a_server_that_cannot_now(said, kind):
    hooks = {"LOGIN": lambda _, tag, __: [f"{tag} {said}".encode()]}
    with ScriptedImap(hooks=hooks) as server, pytest.raises(AgentError) as error:
        connect(server)
    assert type(error.value) is kind


@pytest.mark.parametrize("how", [Drop, Hang])
def test_a_connection_lost_at_login_is_no_refused_login(how):
    def login(*_):
        raise how

    with ScriptedImap(hooks={"LOGIN": login}) as server, pytest.raises(TryAgainError, match="logging in"):
        connect(server, read_timeout=0.5)


@pytest.mark.parametrize("greeting", [b"* BYE too many connections", b"220 mail ESMTP", b"SSH-2.0-x", b""])
def test_a_greeting_that_is_none_is_an_error_that_names_the_server(greeting):
    with ScriptedImap(greeting=greeting) as server, pytest.raises(TryAgainError, match="check the port, or wait"):
        connect(server, read_timeout=0.5)


@pytest.mark.parametrize("greeting", [b"* OK ready", b"* PREAUTH welcome"])
def test_a_line_without_starttls_is_not_used_in_the_clear(greeting):
    with ScriptedImap(greeting=greeting) as server:
        with pytest.raises(TlsError, match="offers no STARTTLS"):
            connect(server, tls="starttls")
        assert not any("right" in command for command in server.commands)


def test_a_name_of_a_folder_that_cannot_be_decoded_is_left_out():
    folders = {"INBOX": Folder(), "&AMk-t&AOk-": Folder(), "&broken": Folder(), "&----": Folder(), "007": Folder()}
    with ScriptedImap(folders=folders) as server:
        assert {"INBOX", "Été", "007"} <= set(connect(server).folders())


def test_a_date_that_cannot_be_read_loses_no_message():
    with ScriptedImap() as server:
        server.folders["INBOX"].add(MAIL, date="yesterday")
        mailbox = connect(server)
        mailbox.select("INBOX")
        (listed,) = mailbox.listed([1])
        assert abs(listed.internaldate - datetime.now(UTC)) < timedelta(minutes=1)


def test_what_servers_say_meanwhile_is_not_kept_for_ever():
    with ScriptedImap() as server:
        mailbox = connect(server)
        mailbox.select("INBOX")
        for octets in numbered(20):
            mailbox.move([server.folders["INBOX"].add(octets)], "x")
        assert sum(len(lines) for lines in mailbox._session._imap.untagged_responses.values()) < 5


# OAuth 2.0.


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_refused_token_is_answered_and_reported(mechanism):
    said = []

    def authenticate(conversation, tag, _command):
        conversation.say(b"+ ")
        said.append(conversation.file.readline().strip())
        conversation.say(b"+ eyJzdGF0dXMiOiI0MDAifQ==")
        said.append(conversation.file.readline().strip())
        return [f"{tag} NO AUTHENTICATE failed".encode()]

    capabilities = (*FULL, f"AUTH={mechanism}")
    with (
        ScriptedImap(capabilities=capabilities, hooks={"AUTHENTICATE": authenticate}) as server,
        pytest.raises(AuthenticationError, match="renew the token"),
    ):
        connect(server, login=TokenLogin("d@x.fr", lambda: "token"))
    assert said[1] == (b"AQ==" if mechanism == "OAUTHBEARER" else b"")
