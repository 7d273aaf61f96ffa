"""Parsing without the large bodies says the same as parsing with them, on good, bad and hostile mail."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inbox_agent import parse
from inbox_agent.skeleton import Bodies, DoubtError, skeleton

import making

if TYPE_CHECKING:
    from inbox_agent.message import Message

CORPORA = os.environ.get("INBOX_AGENT_CORPORA")
PDF = bytes(range(256)) * 40
GOOD = making.eml(
    html="<p>é</p>",
    attachments=[("CV.pdf", PDF), ("LM.pdf", PDF[::-1])],
    enclosed=[making.eml(attachments=[("autre.pdf", PDF * 2)])],
)


def _plain(octets: bytes, monkeypatch: pytest.MonkeyPatch) -> Message:
    with monkeypatch.context() as context:
        context.setattr(parse, "skeleton", lambda whole: (whole, Bodies(whole)))
        return parse.parse(octets)


def test_large_bodies_are_cut_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    small, bodies = skeleton(GOOD)
    assert len(bodies.spans) == 3
    assert len(small) < 5000
    message = parse.parse(GOOD)
    assert message.attachments[0].octets == PDF
    assert message.enclosed[0].attachments[0].octets == PDF * 2
    assert message == _plain(GOOD, monkeypatch)


BASE64 = base64.encodebytes(PDF)
PART = b"Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n"
HEAD = b'From: a@b\nContent-Type: multipart/mixed; boundary="b"\n\n'


@pytest.mark.parametrize(
    "octets",
    [
        HEAD + b"--b\n" + PART + BASE64 + b"--b--\n",
        HEAD + b"--b\n" + PART + BASE64 + b"--c\n" + BASE64 + b"--b--\n",
        HEAD + b"--b\n" + PART + BASE64 + b"\n\nA footer by the list\n--b--\n",
        HEAD + b"--b\n" + PART + BASE64 + b"\r--b--\r" + BASE64,
        HEAD + b"--b\n" + PART + BASE64[:-3],
        HEAD + b"--b\n" + PART + BASE64.replace(b"\n", b"\r\n") + b"\r\n--b--\r\n",
        HEAD + b"--b\n" + PART + BASE64.replace(b"\n", b" \n") + b"--b--\n",
        HEAD + b"--b\n" + PART + BASE64 + b"====\n--b--\n",
        HEAD + b"--b\n" + PART + b"!" + BASE64 + b"\n--b--\n",
        HEAD + b"--b\n\nThe header was\nContent-Transfer-Encoding: base64\n\n" + BASE64 + b"--b--\n",
        HEAD + b"--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + BASE64 + b"--b--\n",
        HEAD.replace(b"\n\n", b"\nContent-Transfer-Encoding: base64\n\n") + BASE64 + b"\n--b\n\nx\n--b--\n",
        b"From: a@b\n" + PART + BASE64,
        b"From: a@b\nContent-Transfer-Encoding: 7bit\n" + PART + BASE64,
        b"From: a@b\n" + PART.replace(b"base64", b"base64 (really)") + BASE64,
        b"From: a@b\n" + PART.replace(b"application/pdf", b"text/plain") + BASE64,
        (HEAD + b"--b\n" + PART + BASE64 + b"--b--\n").replace(b"\n", b"\r"),
        HEAD + b"--b\n" + PART + BASE64[:7700] + BASE64[7700:].replace(b"\n", b"") + b"\n\n--b--\n",
        HEAD + b"--b\n" + PART + BASE64[:5000] + b" " + BASE64[5001:] + b"\n--b--\n",
        HEAD + b"--b\n" + PART + BASE64[:5000] + b"=" + BASE64[5001:] + b"\n--b--\n",
        HEAD + b"--b\n" + PART + BASE64[:5000] + b"-" + BASE64[5001:] + b"\n--b--\n",
        HEAD + b"--b\n" + PART + BASE64[:5390] + b"\n\n--b--\n",
        HEAD + b"--b\n" + PART + BASE64.rstrip() + b"\r\r\n\n--b--\n",
    ],
    ids=range(23),
)
def test_the_result_is_that_of_the_whole(octets: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse.parse(octets) == _plain(octets, monkeypatch)


@settings(suppress_health_check=list(HealthCheck), max_examples=150, deadline=None)
@given(st.data())
def test_the_result_is_that_of_the_whole_however_the_mail_is_mutilated(data: st.DataObject) -> None:
    octets = bytearray(GOOD)
    for _cut in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(octets)))
        put = data.draw(
            st.sampled_from((b"", b"\n", b"\r", b"\n\n", b"--", b"=", b"-", b"\n--", b"!", b" ", b"base64"))
        )
        octets[start : start + data.draw(st.integers(0, 30))] = put
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert parse.parse(bytes(octets)) == _plain(bytes(octets), monkeypatch)


def test_a_body_that_nobody_takes_back_is_a_doubt() -> None:
    _, bodies = skeleton(GOOD)
    with pytest.raises(DoubtError):
        bodies.settle()


@pytest.mark.corpora
@pytest.mark.skipif(CORPORA is None, reason="INBOX_AGENT_CORPORA names no folder")
def test_the_result_is_that_of_the_whole_on_every_mail_of_the_corpora(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = 0
    for path in sorted(Path(CORPORA or "").rglob("*")):
        if not path.is_file() or (path.suffix != ".eml" and "mails" not in path.parts):
            continue
        octets = path.read_bytes()
        if len(octets) > 5_000_000:
            continue
        cut += bool(skeleton(octets)[1].spans)
        assert parse.parse(octets) == _plain(octets, monkeypatch), path.name
    assert cut > 30
