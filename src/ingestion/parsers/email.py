"""E-mail, `.eml` and Outlook's `.msg`: who wrote to whom and when in one sentence, then the text.

Attachments are named, not read.
"""

import codecs
import email
import email.policy
import io
import re
from collections.abc import Iterator, Sequence
from email.message import EmailMessage, Message, MIMEPart

from src.errors import UnreadableDocument
from src.ingestion.parsers.archive import reading
from src.ingestion.parsers.html import parse_html
from src.ingestion.parsers.parsed import Parsed, decode, tidy

_ENCRYPTED_TYPES = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
# A header's value that breaks the rules of its kind surfaces as one of these.
_HEADER_ERRORS = (ValueError, LookupError, AttributeError, TypeError)
_QUOTE_MARKS = re.compile(r"^(?:>[ \t]?)+", re.MULTILINE)
_BROKEN_WORD = re.compile(r"[\ud800-\udfff]")


def parse_eml(data: bytes) -> Parsed:
    """Parse a message: its plain text, else its HTML as text.

    Raises:
        UnreadableDocument: it is no message, or an encrypted one.
    """
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or 0 in data[:2]:
        data = decode(data).encode()
    message = email.message_from_bytes(data, policy=email.policy.default)
    if message.get_content_type() in _ENCRYPTED_TYPES and "signed" not in str(message.get_param("smime-type")):
        raise UnreadableDocument("it is encrypted; save its text unencrypted")
    if not message.keys():
        raise UnreadableDocument("it is not an e-mail: it has no header")
    names = [_attachment_name(part) for part in _attachments(message)]
    subject, sender, to, date = (_header(message, name) for name in ("Subject", "From", "To", "Date"))
    return _compose(subject, sender, to, date, _body(message), [name for name in names if name])


def parse_msg(data: bytes) -> Parsed:
    """Parse an Outlook message.

    Raises:
        UnreadableDocument: broken or encrypted.
    """
    from oxmsg import Message

    with reading(".msg"):
        message = Message.load(io.BytesIO(data))
        kind = message.message_headers.get("Content-Type", "").partition(";")[0].strip().lower()
        is_encrypted = kind in _ENCRYPTED_TYPES or "SMIME" in (message.message_class or "").upper()
        body = message.body or (parse_html(message.html_body).text if message.html_body else "")
        to = ", ".join(recipient.name or recipient.email_address for recipient in message.recipients)
        names = [attachment.file_name or "unnamed" for attachment in message.attachments]
        date = message.sent_date.isoformat(" ", "minutes") if message.sent_date else ""
        subject, sender = message.subject or "", message.sender or ""
    if is_encrypted and not body.strip():
        raise UnreadableDocument("it is encrypted; save its text unencrypted")
    return _compose(subject, sender, to, date, body, names)


def _compose(subject: str, sender: str, to: str, date: str, body: str, attachments: Sequence[str]) -> Parsed:
    """Put a message's parts together; nothing but a header is no text."""
    if not body.strip() and not subject:
        raise UnreadableDocument("it holds no text")
    parties = f"E-mail from {sender or 'unknown'}" + (f" to {to}" if to else "") + (f", {date}" if date else "")
    ending = f"\n\nAttachments: {', '.join(attachments)}." if attachments else ""
    lead = f"{subject}\n\n" if subject else ""
    return Parsed(tidy(f"{lead}{parties}.\n\n{body.strip()}{ending}\n"), subject)


def _body(message: EmailMessage) -> str:
    body = message.get_body(("plain", "html"))
    if body is None:
        parts = [item for item in message.walk() if item.get_content_maintype() == "text" and not item.get_filename()]
        return "\n\n".join(_part_text(item) for item in parts)
    # Some programs send the plain text and the same as HTML as if they were two texts.
    texts: dict[str, str] = {}
    for text in _texts(message, body):
        texts.setdefault("".join(filter(str.isalnum, text)), text.strip())
    return "\n\n".join(texts.values())


def _texts(part: Message, body: Message) -> Iterator[str]:
    """Give what stands above, between and below a message's files; of alternatives one."""
    if not isinstance(part, MIMEPart):
        return
    if part.get_content_maintype() == "multipart" and part.get_content_subtype() not in ("alternative", "related"):
        for inner in part.iter_parts():
            yield from _texts(inner, body)
        return
    for kinds in (("plain", "html"), ("html",)):
        chosen = part.get_body(kinds)
        if chosen is not None and (chosen is body or not chosen.get_filename()):
            text = _part_text(chosen)
            if text.strip():
                yield text
                return


def _part_text(part: MIMEPart) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        text = tidy(data.decode(part.get_content_charset() or "utf-8"))
    except (UnicodeDecodeError, LookupError):
        text = decode(data.replace(b"\x00", b""))
    return parse_html(text).text if part.get_content_subtype() == "html" else _QUOTE_MARKS.sub("", text)


def _attachments(message: EmailMessage) -> list[EmailMessage]:
    try:
        return [part for part in message.iter_attachments() if isinstance(part, EmailMessage)]
    except _HEADER_ERRORS:
        return []  # a multipart message without parts


def _attachment_name(part: EmailMessage) -> str:
    """Name a file; a forwarded message without a file's name is called by its subject."""
    name = part.get_filename() or ""
    forwarded = next(part.iter_parts(), None) if part.get_content_type() == "message/rfc822" else None
    return _clean(name) if name or forwarded is None else _header(forwarded, "Subject")


def _header(message: Message, name: str) -> str:
    try:
        return _clean(str(message.get(name, "")))
    except _HEADER_ERRORS:
        return ""


def _clean(text: str) -> str:
    return " ".join(_BROKEN_WORD.sub("\ufffd", tidy(text)).split())
