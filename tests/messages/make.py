"""Makes the labelled messages from the scenarios: `python tests/messages/make.py` rewrites every .eml and .json.

A scenario file holds messages of one kind. `=== name` begins one; then come lines of one letter and a value, an empty
line, and the body as the sender typed it. What is left out is usual: to the directrice with copy to the secretary, on
13 February 2024, by Thunderbird. The labels come from the scenario, never from the program:

    F: sender            R: recipients, to/cc of d (directrice), s (secretary), or addresses
    D: received at       C: mail client     S: subject       H: a further header field
    A: kind:file name    attached documents, `|` between two; see _DOCUMENT
    P: the person whose papers these are, where it is not the sender
    T: trade             L: the body is the letter           E: another scenario, enclosed as message/rfc822
    X: what is expected where it is not the usual: kind=, offer=, name=, address=, reply=, timing=, missing=, where=
    W: why, for a label that can be argued about
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import quopri
import sys
import time
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from email.header import Header
from email.utils import format_datetime, parseaddr
from pathlib import Path
from unittest import mock
from zoneinfo import ZoneInfo

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from reportlab import rl_config  # noqa: E402 see below

import making  # noqa: E402 it lies beside this folder
import papers  # noqa: E402 see above

rl_config.invariant = 1  # The same octets each time: no date and no random id in a PDF.
DIRECTRICE = "Marie-Noëlle Pinson <marienoelle.pinson@villesaucarre.org>"
SECRETARY = "Hélène Dugué <helene.dugue@villesaucarre.org>"
PARIS = ZoneInfo("Europe/Paris")
# id: (deadline, what the day itself means, required pieces)
OFFERS = {
    "charge-de-mission-2024": (date(2024, 2, 15), "boundary", ("cv", "letter")),
    "assistant-comptable-2024": (date(2024, 3, 22), "on_time", ("cv", "letter")),
    "animation-reseau-2024": (date(2024, 3, 29), "late", ("cv", "letter")),
    "mediatheque-2024": (date(2024, 2, 23), "boundary", ("cv", "letter")),
    "data-officer-2024": (date(2024, 2, 29), "boundary", ("cv",)),
    "stage-cartographie-2024": (date(2024, 2, 29), "boundary", ("cv", "letter")),
    "educateur-2024": (date(2024, 4, 5), "boundary", ("cv", "letter")),
}
SHORT = {"cm": "charge-de-mission-2024", "ac": "assistant-comptable-2024", "ar": "animation-reseau-2024"} | {
    "med": "mediatheque-2024",
    "data": "data-officer-2024",
    "carto": "stage-cartographie-2024",
    "edu": "educateur-2024",
    "none": None,
}
SPONTANEOUS = ("cv",)
FILED = ("application", "follow_up", "withdrawal")


@dataclass
class Scenario:
    """One message as written in its file; `fields` are its lines, `defaults` those at the head of the file."""

    name: str
    shape: str
    fields: dict[str, str]
    headers: list[str]
    body: str
    defaults: dict[str, str] = field(default_factory=dict)

    def get(self, key: str, default: str = "") -> str:
        return self.fields.get(key, self.defaults.get(key, default))

    @property
    def expected(self) -> dict[str, str]:
        stated: dict[str, str] = {}
        for line in (self.defaults.get("X", ""), self.fields.get("X", "")):
            stated |= dict(part.strip().split("=", 1) for part in line.split(";") if part.strip())
        return stated

    @property
    def received(self) -> datetime:
        return datetime.strptime(self.get("D", "2024-02-13 09:22"), "%Y-%m-%d %H:%M").replace(tzinfo=PARIS)


def scenarios() -> list[Scenario]:
    found: list[Scenario] = []
    for path in sorted((HERE / "scenarios").glob("*.txt")):
        head, *blocks = path.read_text(encoding="utf-8").split("\n=== ")
        defaults = dict(line.split(": ", 1) for line in head.split("\n") if ": " in line and not line.startswith("#"))
        found += (_scenario(path.stem, block, defaults) for block in blocks)
    return found


def _scenario(shape: str, block: str, defaults: dict[str, str]) -> Scenario:
    head, _, body = block.partition("\n\n")
    name, *lines = head.split("\n")
    fields: dict[str, str] = {}
    headers: list[str] = []
    for line in lines:
        key, _, value = line.partition(":")
        if key == "H":
            headers.append(value.strip())
        else:
            fields[key] = value.strip()
    return Scenario(f"{shape}-{name.strip()}", shape, fields, headers, body.rstrip("\n") + "\n", defaults)


# --- The message ----------------------------------------------------------------------------------------------


def octets_of(scenario: Scenario, everything: dict[str, Scenario]) -> bytes:
    client = scenario.get("C", "thunderbird")
    parts = [_text_part(scenario, client)]
    parts += [_attached(scenario, kind, name, client) for kind, name in _documents(scenario)]
    if scenario.get("E"):
        inner = octets_of(everything[scenario.get("E")], everything)
        name = _encoded(scenario.get("N", "message transféré.eml"))
        parts.append(
            f'Content-Type: message/rfc822; name="{name}"\r\n'.encode()
            + f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'.encode()
            + inner
        )
    head = _head(scenario, client)
    if scenario.get("M"):
        return _report(scenario, head, parts, everything)
    if len(parts) == 1:
        return head + parts[0]
    return head + _multipart("mixed", parts, scenario.name)


def _report(scenario: Scenario, head: bytes, parts: list[bytes], everything: dict[str, Scenario]) -> bytes:
    """A delivery report or a calendar answer, by the type that M names."""
    kind = scenario.get("M")
    if kind == "calendar":
        event = (
            "BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\nUID:1@example.org\r\nDTSTART:20240220T090000Z\r\n"
            "SUMMARY:Entretien\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        )
        parts.append(b"Content-Type: text/calendar; charset=utf-8; method=REPLY\r\n\r\n" + event.encode())
        return head + _multipart("alternative", parts, scenario.name)
    status = (
        "Reporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; inconnu@example.org\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\n"
    )
    parts.append(b"Content-Type: message/delivery-status\r\n\r\n" + status.encode())
    boundary = hashlib.sha256(scenario.name.encode()).hexdigest()[:20]
    body = _multipart("report", parts, scenario.name)
    return head + body.replace(
        f'multipart/report; boundary="{boundary}"'.encode(),
        f'multipart/report; report-type={kind}; boundary="{boundary}"'.encode(),
    )


def _head(scenario: Scenario, client: str) -> bytes:
    to, _, cc = scenario.get("R", "d/s").partition("/")
    received = scenario.received
    sent = received - timedelta(seconds=40)
    lines = [f"Received: from relay.example.org by mx.villesaucarre.org; {format_datetime(received)}"]
    overridden = {header.partition(":")[0].lower() for header in scenario.headers}
    if "return-path" not in overridden:
        lines.insert(0, f"Return-Path: <{parseaddr(scenario.get('F'))[1]}>")
    usual = {
        "From": _address(scenario.get("F")),
        "To": _recipients(to),
        "Cc": _recipients(cc),
        "Subject": _encoded(scenario.get("S"), client),
        "Date": format_datetime(sent),
        "Message-ID": f"<{hashlib.sha256(scenario.name.encode()).hexdigest()[:16]}@{_host(client)}>",
    }
    lines += [f"{key}: {value}" for key, value in usual.items() if value and key.lower() not in overridden]
    lines += [_header(header) for header in scenario.headers if not header.endswith(": -")]
    lines += _PROGRAMS.get(client, [])
    lines.append("MIME-Version: 1.0")
    return ("\r\n".join(lines) + "\r\n").encode()


def _header(header: str) -> str:
    key, _, value = header.partition(": ")
    if key.lower() in {"from", "reply-to", "to", "cc", "bcc", "sender"}:
        return f"{key}: {', '.join(_address(one) for one in value.split(', '))}"
    return f"{key}: {_encoded(value)}"


_PROGRAMS = {
    "outlook": ["X-Mailer: Microsoft Outlook 16.0", "Thread-Index: AdpeQ2J5", "Content-Language: fr"],
    "gmail": [],
    "apple": ["X-Mailer: Apple Mail (2.3774.300.61.1.2)"],
    "thunderbird": ["User-Agent: Mozilla Thunderbird", "Content-Language: fr"],
    "iphone": ["X-Mailer: iPhone Mail (21D50)"],
    "android": ["X-Mailer: Samsung Email"],
    "orange": ["X-Mailer: Orange Webmail", "X-ORIGINATING-IP: 192.0.2.7"],
    "zimbra": ["X-Mailer: Zimbra 8.8.15_GA_4562"],
    "roundcube": ["User-Agent: Roundcube Webmail/1.6.0"],
    "yahoo": ["X-Mailer: WebService/1.1.22077 YMailNorrin"],
}


def _host(client: str) -> str:
    return {
        "gmail": "mail.gmail.com",
        "outlook": "PR3P192MB0001.EURP192.PROD.OUTLOOK.COM",
        "yahoo": "mail.yahoo.com",
    }.get(client, "example.org")


def _recipients(codes: str) -> str:
    known = {"d": DIRECTRICE, "s": SECRETARY}
    return ", ".join(_address(known.get(code.strip(), code.strip())) for code in codes.split(",") if code.strip())


def _address(text: str) -> str:
    name, spec = parseaddr(text)
    if not name:
        return text
    return f"{_encoded(name)} <{spec}>" if not name.isascii() else f'"{name}" <{spec}>'


def _encoded(text: str, client: str = "") -> str:
    if text.isascii():
        return text
    charset = "iso-8859-1" if client in ("outlook", "orange") and _fits(text, "iso-8859-1") else "utf-8"
    return Header(text, charset, maxlinelen=70).encode(linesep="\r\n")


def _fits(text: str, charset: str) -> bool:
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def _text_part(scenario: Scenario, client: str) -> bytes:
    text = scenario.body
    if not text.strip() and client not in ("android", "html"):
        return b"Content-Type: text/plain; charset=us-ascii\r\n\r\n\r\n"
    match client:
        case "outlook":
            charset = "iso-8859-1" if _fits(text, "iso-8859-1") else "utf-8"
            parts = [
                _leaf("plain", text, charset, "quoted-printable"),
                _leaf("html", _html(text, client), charset, "quoted-printable"),
            ]
            return _multipart("alternative", parts, scenario.name + "alt")
        case "gmail" | "yahoo":
            parts = [_leaf("plain", text, "utf-8", "base64"), _leaf("html", _html(text, client), "utf-8", "base64")]
            return _multipart("alternative", parts, scenario.name + "alt")
        case "android" | "html":
            return _leaf("html", _html(text, client), "utf-8", "base64")
        case "orange":
            charset = "iso-8859-1" if _fits(text, "iso-8859-1") else "utf-8"
            return _leaf("html", _html(text, client), charset, "quoted-printable")
        case "latin1":
            return _leaf("plain", text, "iso-8859-1", "8bit")
        case "roundcube" | "apple" | "iphone":
            return _leaf("plain", text, "utf-8", "quoted-printable")
        case _:
            return _leaf("plain", text, "utf-8", "8bit")


def _html(text: str, client: str) -> str:
    from html import escape  # noqa: PLC0415 a name that would hide others

    paragraphs = [escape(paragraph).replace("\n", "<br>\r\n") for paragraph in text.strip("\n").split("\n\n")]
    tag = '<p class="MsoNormal">{}</p>' if client == "outlook" else "<div>{}</div><div><br></div>"
    return "<html><body>" + "\r\n".join(tag.format(paragraph) for paragraph in paragraphs) + "</body></html>"


def _leaf(subtype: str, text: str, charset: str, encoding: str) -> bytes:
    octets = text.replace("\r\n", "\n").replace("\n", "\r\n").encode(charset, "replace")
    match encoding:
        case "base64":
            octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
        case "quoted-printable":
            octets = quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    head = f"Content-Type: text/{subtype}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + octets


def _multipart(subtype: str, parts: list[bytes], seed: str) -> bytes:
    boundary = hashlib.sha256(seed.encode()).hexdigest()[:20]
    pieces = [f'Content-Type: multipart/{subtype}; boundary="{boundary}"\r\n\r\n'.encode()]
    for part in parts:
        pieces += [f"--{boundary}\r\n".encode(), part.rstrip(b"\r\n"), b"\r\n"]
    return b"".join([*pieces, f"--{boundary}--\r\n".encode()])


# --- Documents ------------------------------------------------------------------------------------------------


def _documents(scenario: Scenario) -> list[tuple[str, str]]:
    return [
        (kind.strip(), name.strip())
        for kind, _, name in (one.partition(":") for one in scenario.get("A").split("|"))
        if kind.strip()
    ]


def person_of(scenario: Scenario) -> tuple[str, str]:
    """Name and address on the papers."""
    name, spec = parseaddr(scenario.get("P") or scenario.get("F"))
    return name or scenario.expected.get("name", "Camille Moreau"), spec


def _attached(scenario: Scenario, kind: str, name: str, client: str) -> bytes:
    octets, media_type = _octets(scenario, kind, name)
    disposition = "inline" if client in ("apple", "iphone") or kind == "logo" else "attachment"
    if client == "outlook" or name.isascii():
        shown = _encoded(name)
        fields = (
            f'Content-Type: {media_type}; name="{shown}"\r\nContent-Disposition: {disposition}; filename="{shown}"\r\n'
        )
    else:
        from urllib.parse import quote  # noqa: PLC0415 for these names alone

        fields = (
            f"Content-Type: {media_type}\r\nContent-Disposition: {disposition};\r\n filename*=UTF-8''{quote(name)}\r\n"
        )
    if kind == "logo":
        fields += "Content-ID: <logo@example.org>\r\n"
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return f"{fields}Content-Transfer-Encoding: base64\r\n\r\n".encode() + encoded


def _octets(scenario: Scenario, kind: str, name: str) -> tuple[bytes, str]:
    full, spec = person_of(scenario)
    seed = int(hashlib.sha256(scenario.name.encode()).hexdigest()[:6], 16)
    trade = scenario.get("T") or papers.trade_of(seed)
    if kind == "logo":
        return papers.logo(), "image/png"
    if kind == "program":
        return b"MZ\x90\x00" + b"\x00" * 60 + b"This program cannot be run in DOS mode.", "application/octet-stream"
    if kind == "broken":
        return b"%PDF-1.4\n1 0 obj\n<< /Type", "application/pdf"
    bare = kind.removeprefix("scan-").removeprefix("locked-")
    lines = papers.lines(bare, full, spec, trade, seed)
    return _file(kind, name, tuple(lines))


# Archives and pictures note when they were made: always then, so that the octets are the same each time.
_MOMENT = time.gmtime(1707812520)


@functools.cache
@mock.patch("time.localtime", new=mock.Mock(return_value=_MOMENT))
@mock.patch("time.gmtime", new=mock.Mock(return_value=_MOMENT))
def _file(kind: str, name: str, lines: tuple[str, ...]) -> tuple[bytes, str]:
    suffix = name.rpartition(".")[2].lower()
    if kind.startswith("scan-"):
        return papers.scan(lines), "application/pdf" if suffix == "pdf" else "image/jpeg"
    if kind.startswith("locked-"):
        return making.encrypted_pdf(lines), "application/pdf"
    match suffix:
        case "docx":
            return making.docx(lines), "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        case "odt":
            return making.odt(lines), "application/vnd.oasis.opendocument.text"
        case "rtf":
            return making.rtf(lines), "application/rtf"
        case "txt":
            return "\n".join(lines).encode(), "text/plain"
        case "zip":
            return making.zip_of({"CV.pdf": making.pdf(lines)}), "application/zip"
        case _:
            return making.pdf(lines), "application/pdf" if suffix == "pdf" else "application/octet-stream"


_KIND = {"cv": "cv", "letter": "letter", "both": "cv_and_letter"}


def expected_of(scenario: Scenario) -> dict[str, object]:
    """The label, from the scenario alone."""
    stated = scenario.expected
    kind = stated["kind"]
    offer = (
        SHORT[stated["offer"]] if "offer" in stated else (SHORT["cm"] if kind in (*FILED, "enquiry", "doubt") else None)
    )
    name, spec = parseaddr(scenario.get("P") or scenario.get("F"))
    documents = _expected_documents(scenario)
    missing = _missing(documents, offer, stated)
    timing = _timing(scenario, offer, stated)
    label: dict[str, object] = {
        "kind": kind,
        "offer": offer,
        "candidate": None,
        "timing": timing if kind in FILED or kind == "doubt" else None,
        "documents": documents if kind in (*FILED, "doubt") else None,
        "missing": list(missing) if kind == "application" else None,
        "reply": _reply(kind, missing, timing, stated),
    }
    if kind in FILED:
        address = stated.get("address", spec)
        label["candidate"] = {"name": stated.get("name", name), "address": None if address == "none" else address}
    if scenario.get("W"):
        label["why"] = scenario.get("W")
    return label


def _expected_documents(scenario: Scenario) -> list[dict[str, str]]:
    where = scenario.expected.get("where", "attachment")
    documents = []
    for kind, name in _documents(scenario):
        if kind == "logo":
            continue
        bare = kind.removeprefix("scan-").removeprefix("locked-")
        bare = "cv" if bare == "broken" else bare  # by its name alone
        inside = "archive" if name.endswith(".zip") and where == "attachment" else where
        documents.append({"kind": _KIND.get(bare, "other"), "where": inside})
    if scenario.get("E"):
        documents += [{"kind": kind, "where": "forwarded"} for kind in scenario.get("K").split()]
    if scenario.get("L"):
        documents.append({"kind": "letter", "where": "forwarded" if where == "forwarded" else "body"})
    return documents


def _missing(documents: list[dict[str, str]], offer: str | None, stated: dict[str, str]) -> tuple[str, ...]:
    if "missing" in stated:
        return tuple(stated["missing"].split())
    held = {piece for document in documents for piece in document["kind"].split("_and_")}
    required = OFFERS[offer][2] if offer else SPONTANEOUS
    return tuple(piece for piece in required if piece not in held)


def _timing(scenario: Scenario, offer: str | None, stated: dict[str, str]) -> str | None:
    if "timing" in stated or offer is None:
        return stated.get("timing")
    deadline, on_the_day, _ = OFFERS[offer]
    day = scenario.received.date()
    if day == deadline:
        return on_the_day
    return "on_time" if day < deadline else "late"


def _reply(kind: str, missing: tuple[str, ...], timing: str | None, stated: dict[str, str]) -> str | None:
    if "reply" in stated:
        return None if stated["reply"] == "null" else stated["reply"]
    match kind:
        case "application":
            return "late" if timing == "late" else "incomplete" if missing else "complete"
        case "withdrawal":
            return "withdrawn"
        case _:
            return None


def main() -> None:
    """Rewrite all .eml and .json files."""
    for old in (*HERE.glob("*.eml"), *HERE.glob("*.json")):
        old.unlink()
    everything = {scenario.name: scenario for scenario in scenarios()}
    for scenario in everything.values():
        (HERE / f"{scenario.name}.eml").write_bytes(octets_of(scenario, everything))
        label = json.dumps(expected_of(scenario), ensure_ascii=False, indent=1)
        (HERE / f"{scenario.name}.json").write_text(label + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(everything)} messages of {len({one.shape for one in everything.values()})} shapes\n")


if __name__ == "__main__":
    main()
