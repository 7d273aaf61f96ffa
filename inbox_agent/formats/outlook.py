"""Outlook's own containers, winmail.dat and .msg, through the extra `outlook` (tnefparse, python-oxmsg)."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

from inbox_agent.clean import clean_line
from inbox_agent.formats.archive import Member

if TYPE_CHECKING:
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
    try:
        from oxmsg import Message as OutlookMessage  # noqa: PLC0415 an extra
    except ImportError:
        return None
    try:
        message = OutlookMessage.load(io.BytesIO(octets))
        return tuple(
            Member(clean_line(item.file_name or ""), item.file_bytes or b"")
            for item in message.attachments[: limits.archive_documents]
        )
    except Exception as error:  # noqa: BLE001 the barrier: olefile and oxmsg raise whatever they meet
        logger.warning("msg unreadable: %s", type(error).__name__)
        return None
