"""Outlook's own message files, to the same text as other e-mail."""

import io

from src.errors import UnreadableDocument
from src.ingestion.readers.archive import BROKEN_FILE_ERRORS, not_readable
from src.ingestion.readers.email import ENCRYPTED_TYPES, compose
from src.ingestion.readers.html import html_to_reading
from src.ingestion.readers.reading import Reading


def read_msg(data: bytes) -> Reading:
    """Read a message.

    Raises:
        UnreadableDocument: broken or encrypted.
    """
    from oxmsg import Message

    try:
        message = Message.load(io.BytesIO(data))
        kind = message.message_headers.get("Content-Type", "").partition(";")[0].strip().lower()
        is_encrypted = kind in ENCRYPTED_TYPES or "SMIME" in (message.message_class or "").upper()
        body = message.body or (html_to_reading(message.html_body).text if message.html_body else "")
        to = ", ".join(recipient.name or recipient.email_address for recipient in message.recipients)
        names = [attachment.file_name or "unnamed" for attachment in message.attachments]
        date = message.sent_date.isoformat(" ", "minutes") if message.sent_date else ""
        subject, sender = message.subject or "", message.sender or ""
    except UnreadableDocument:
        raise
    except BROKEN_FILE_ERRORS as exc:
        raise not_readable(".msg", exc) from exc
    if is_encrypted and not body.strip():
        raise UnreadableDocument("it is encrypted; save its text unencrypted")
    return compose(subject, sender, to, date, body, names)
