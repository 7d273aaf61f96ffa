"""Outlook's own containers, winmail.dat and .msg, through the extra `outlook` (tnefparse, python-oxmsg)."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import re
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from inbox_agent.clean import clean_line
from inbox_agent.formats.archive import Member

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inbox_agent.formats.content import Limits

logger = logging.getLogger(__name__)


def tnef_members(octets: bytes, limits: Limits) -> tuple[Member, ...] | None:
    """The files of a winmail.dat; None where the extra is not installed or the file is broken."""
    try:
        from tnefparse import TNEF  # noqa: PLC0415 an extra
    except ImportError:
        return None
    logging.getLogger("tnef-decode").setLevel(logging.CRITICAL)
    logging.getLogger("tnefparse").setLevel(logging.CRITICAL)
    try:
        attachments = TNEF(octets, do_checksum=False).attachments
        return tuple(
            Member(clean_line(_tnef_name(item)), bytes(item.data or b""))
            for item in attachments[: limits.archive_documents]
        )
    except Exception as error:  # noqa: BLE001 the barrier: it raises struct.error, IndexError, ValueError and others
        logger.warning("tnef unreadable: %s", type(error).__name__)
        return None


def _tnef_name(item: Any) -> str:
    name = item.long_filename() or item.name or ""
    return name if isinstance(name, str) else bytes(name).decode("utf-8", "replace")


def outlook_members(octets: bytes, limits: Limits) -> tuple[Member, ...] | None:
    """The files attached to a .msg, its body left out; None as above."""
    message = _outlook_message(octets)
    return None if message is None else message.files[: limits.archive_documents]


def outlook_octets(octets: bytes) -> bytes | None:
    """A .msg as the mail it was: its transport headers if it came from outside, else what Outlook noted of them."""
    message = _outlook_message(octets)
    if message is None:
        return None
    boundary = hashlib.sha256(octets).hexdigest()  # The same mail for the same file; base64 cannot hold it.
    lines = [*message.fields, "MIME-Version: 1.0", f'Content-Type: multipart/mixed; boundary="{boundary}"', ""]
    kind = "html" if message.markup else "plain"
    parts = [(f"Content-Type: text/{kind}; charset=utf-8", (message.markup or message.text).encode())]
    parts += ((_file_fields(file.name), file.octets or b"") for file in message.files)
    for fields, body in parts:
        encoded = base64.encodebytes(body).decode("ascii")
        lines += (f"--{boundary}", fields, "Content-Transfer-Encoding: base64", "", encoded)
    return "\r\n".join((*lines, f"--{boundary}--", "")).encode("utf-8", "replace")


def _file_fields(name: str) -> str:
    disposition = f"attachment;\r\n filename*=utf-8''{quote(name)}"
    return f"Content-Type: application/octet-stream\r\nContent-Disposition: {disposition}"


class _OutlookMessage(NamedTuple):
    """What is taken from a .msg: header fields as lines, one of the two bodies, the files."""

    fields: tuple[str, ...]
    text: str
    markup: str
    files: tuple[Member, ...]


_TRANSPORT_HEADERS = 0x007D  # MS-OXPROPS 2.1026
_OURS = re.compile(r"(?:content-[\w-]+|mime-version)[ \t]*:", re.IGNORECASE)


def _outlook_message(octets: bytes) -> _OutlookMessage | None:
    try:
        from oxmsg import Message as OutlookMessage  # noqa: PLC0415 an extra
    except ImportError:
        return None
    try:
        message = OutlookMessage.load(io.BytesIO(octets))
        text = message.body or ""
        return _OutlookMessage(
            fields=tuple(_fields(message)),
            text=text,
            markup="" if text.strip() else message.html_body or "",
            files=tuple(
                Member(clean_line(item.file_name or ""), item.file_bytes or b"") for item in message.attachments
            ),
        )
    except Exception as error:  # noqa: BLE001 the barrier: olefile and oxmsg raise whatever they meet
        logger.warning("msg unreadable: %s", type(error).__name__)
        return None


def _fields(message: Any) -> Iterator[str]:
    told = message.properties.str_prop_value(_TRANSPORT_HEADERS)
    if not told:
        yield f"From: {clean_line(message.sender or '')}"
        yield f"Subject: {clean_line(message.subject or '')}"
        if message.sent_date:
            yield f"Date: {format_datetime(message.sent_date)}"
        return
    for field in re.split(r"\r?\n(?![ \t])", told):
        if re.match(r"[!-9;-~]+[ \t]*:", field) and not _OURS.match(field):
            yield clean_line(field)
