"""The tables of the store. `migrations/` holds how each version of them came to be.

Moments are UTC, ISO 8601 with six digits of a second, so that they sort as text on SQLite and PostgreSQL
alike. Of a message that is no application only its identity and its verdict are kept (promise 3): no
subject, sender or text.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# One row: what the installation is, and small facts by name.
facts = sa.Table(
    "facts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

# Where each mailbox has been read up to. `last_uid`: every UID up to it is in `messages` or out of scope.
mailboxes = sa.Table(
    "mailboxes",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("uidvalidity", sa.BigInteger),
    sa.Column("last_uid", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("scope_since", sa.Text),
    sa.Column("polled_at", sa.Text),
    sa.Column("trouble", sa.Text),
    sa.Column("trouble_since", sa.Text),
)

# Every message in scope. state: received, decided, done, quarantined.
messages = sa.Table(
    "messages",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False, index=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("mailbox", sa.Text, nullable=False),
    sa.Column("uidvalidity", sa.BigInteger, nullable=False),
    sa.Column("uid", sa.BigInteger, nullable=False),
    sa.Column("internaldate", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("fingerprint", sa.Text, index=True),
    sa.Column("kind", sa.Text),
    sa.Column("offer", sa.Text),
    sa.Column("application_id", sa.Integer, sa.ForeignKey("applications.id"), index=True),
    sa.Column("folder", sa.Text),
    sa.Column("folder_uidvalidity", sa.BigInteger),
    sa.Column("folder_uid", sa.BigInteger),
    sa.Column("no_reply_reason", sa.Text),
    # Why it is in quarantine or vanished (English), or in doubt (French).
    sa.Column("why", sa.Text),
    # Who wrote a message in doubt, so that the digest can name them; null for every other kind.
    sa.Column("doubt_from", sa.JSON(none_as_null=True)),
    # When a person said what a message in doubt is.
    sa.Column("resolved_at", sa.Text),
    sa.Column("decided_at", sa.Text),
    # The decision as JSON (design section 6) of what was filed; null for every other kind.
    sa.Column("decision", sa.JSON(none_as_null=True)),
    # What staff said it is (decision.Told), and what it was before; null where they said nothing.
    sa.Column("told", sa.JSON(none_as_null=True)),
    sa.UniqueConstraint("mailbox", "uidvalidity", "uid"),
    # All that Journal.ledger asks: it is counted from the index alone after every pass.
    sa.Index("ix_messages_kind_state_why", "kind", "state", "why"),
)

# One candidate for one offer; `id` is that of its first message, the number people use. `status` and `timing` are
# the present ones; `staff_placed` when staff said so.
applications = sa.Table(
    "applications",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("offer", sa.Text, index=True),
    sa.Column("fingerprint", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("given", sa.Text, nullable=False),
    sa.Column("surname", sa.Text, nullable=False),
    sa.Column("folded_name", sa.Text, nullable=False, index=True),
    sa.Column("address", sa.Text, index=True),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("received_at", sa.Text, nullable=False, index=True),
    sa.Column("last_contact_at", sa.Text, nullable=False, index=True),
    sa.Column("timing", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("missing", sa.JSON, nullable=False),
    sa.Column("notes", sa.JSON, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("folder", sa.Text),
    sa.Column("staff_placed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("withdrawn_at", sa.Text),
    # When staff said that it is no application: out of register and board, its files set aside until purged.
    sa.Column("set_aside_at", sa.Text),
    sa.Column("keep_agreed", sa.Boolean, nullable=False, server_default=sa.false()),
    # Raised by every change; the archive's candidature.json, register and board tell `written_revision`.
    sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
    sa.Column("written_revision", sa.Integer, nullable=False, server_default="0"),
    sa.Index("ix_applications_unwritten", "revision", "written_revision"),
)

# Message-IDs that lead to an application: those of its messages and of our replies.
threads = sa.Table(
    "threads",
    metadata,
    sa.Column("message_id", sa.Text, primary_key=True),
    sa.Column("application_id", sa.Integer, sa.ForeignKey("applications.id"), nullable=False, index=True),
)

# The pieces, as filed. `name` is the sender's, `stored_as` ours; `current` is false once a newer one came.
documents = sa.Table(
    "documents",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("application_id", sa.Integer, sa.ForeignKey("applications.id"), nullable=False, index=True),
    sa.Column("message_id", sa.Integer, sa.ForeignKey("messages.id"), nullable=False, index=True),
    sa.Column("stored_as", sa.Text, nullable=False),
    sa.Column("current", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("document", sa.JSON, nullable=False),
)

# What is to be done to the world, in order of `id` within a message: see decision.ActKind and ActState.
acts = sa.Table(
    "acts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("message_id", sa.Integer, sa.ForeignKey("messages.id"), index=True),
    sa.Column("application_id", sa.Integer, sa.ForeignKey("applications.id"), index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("octets", sa.LargeBinary),
    sa.Column("recipient", sa.Text),
    sa.Column("mail_id", sa.Text, index=True),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("next_at", sa.Text, nullable=False),
    sa.Column("done_at", sa.Text),
    sa.Column("result", sa.Text),
    # What people did with a draft: sent or deleted; null while it waits.
    sa.Column("settled", sa.Text),
    sa.Index("ix_acts_state_next_at", "state", "next_at"),
    sa.Index("ix_acts_recipient_created_at", "recipient", "created_at"),
    sa.Index("ix_acts_kind_created_at", "kind", "created_at"),
)

# What the digest of a day tells besides the messages. kind: correction, withdrawal, bounce.
events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("application_id", sa.Integer, index=True),
    sa.Column("message_id", sa.Integer),
    sa.Column("who", sa.Text),
    sa.Column("detail", sa.Text, nullable=False),
)

# What staff told the agent to do, by command or by answering a digest; the next pass does it, in order of `id`.
requests = sa.Table(
    "requests",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("saying", sa.Text, nullable=False),
    sa.Column("argument", sa.Text),
    sa.Column("done_at", sa.Text, index=True),
    sa.Column("outcome", sa.Text),
)

# The folders of our tree as they were when they were last looked at: what differs is looked at again.
folders = sa.Table(
    "folders",
    metadata,
    sa.Column("mailbox", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("uidvalidity", sa.BigInteger, nullable=False),
    sa.Column("uidnext", sa.BigInteger, nullable=False),
    sa.Column("held", sa.BigInteger, nullable=False),
)

# One digest a day, whatever happens. `until` is the moment up to which it tells.
digests = sa.Table(
    "digests",
    metadata,
    sa.Column("day", sa.Text, primary_key=True),
    sa.Column("until", sa.Text, nullable=False),
    sa.Column("made_at", sa.Text, nullable=False),
)
