"""Mail gives who wrote to whom, then what a person reads in it; its files are named."""

from email.message import EmailMessage

import pytest

from src.errors import UnreadableDocument
from src.ingestion.parsers.email import parse_eml, parse_msg


def test_mail_says_who_wrote_to_whom_and_names_attachments() -> None:
    """The plain text is taken where a message has both."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Café", "Ann <ann@a.example>", "bob@b.example"
    message["Date"] = "Fri, 16 Dec 2022 17:04:16 -0500"
    message.set_content("Hello Bob.\n")
    message.add_alternative("<p>Hello <b>Bob</b>.</p>", subtype="html")
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename="plan.pdf")
    parsed = parse_eml(message.as_bytes())
    assert parsed.title == "Café"
    assert parsed.text == (
        "Café\n\nE-mail from Ann <ann@a.example> to bob@b.example, Fri, 16 Dec 2022 17:04:16 -0500.\n\n"
        "Hello Bob.\n\nAttachments: plan.pdf.\n"
    )


def make_mixed_mail(*parts: tuple[str, str]) -> bytes:
    """Write a message of several parts, given by their headers and bodies."""
    written = "".join(f"--b\n{headers}\n\n{body}\n" for headers, body in parts)
    return f"Subject: Plan\nContent-Type: multipart/mixed; boundary=b\n\n{written}--b--\n".encode()


PLAIN, HTML = "Content-Type: text/plain", "Content-Type: text/html"
INLINE_PDF = "Content-Type: application/pdf\nContent-Disposition: inline; filename=plan.pdf"


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ((PLAIN, "See the plan."), (PLAIN, "Call me by Friday.")),
        ((HTML, "<p>See the plan."), (PLAIN, "Call me by Friday.")),
    ],
)
def test_mail_is_read_on_below_a_file_in_its_text(first: tuple[str, str], last: tuple[str, str]) -> None:
    """Apple Mail begins a new part of text after each file that was dropped into the text."""
    parsed = parse_eml(make_mixed_mail(first, (INLINE_PDF, "x"), last))
    assert parsed.text == (
        "Plan\n\nE-mail from unknown.\n\nSee the plan.\n\nCall me by Friday.\n\nAttachments: plan.pdf.\n"
    )


@pytest.mark.parametrize(
    "other",
    [
        (f"{PLAIN}; name=notes.txt", "Do not read."),
        (f"{PLAIN}\nContent-Disposition: attachment", "Do not read."),
        ("Content-Type: text/calendar", "BEGIN:VCALENDAR"),
        (HTML, "<p>See <b>the</b> plan.</p>"),
        (
            "Content-Type: multipart/alternative; boundary=c",
            f"--c\n{PLAIN}\n\nSee the plan.\n--c\n{HTML}\n\n<p>Drawn.\n--c--",
        ),
    ],
)
def test_files_and_second_forms_of_a_text_are_not_read_as_mail(other: tuple[str, str]) -> None:
    """A file is named at most, and what is sent as plain text and as HTML is read once."""
    text = parse_eml(make_mixed_mail((PLAIN, "See the plan."), other)).text
    assert text.removesuffix("\n\nAttachments: notes.txt.\n").strip().endswith("unknown.\n\nSee the plan.")


def test_mail_attached_to_a_mail_is_named_by_its_subject() -> None:
    """It has no file's name where a program attaches it as a message."""
    forwarded = "Subject: Rooms in May\nFrom: ann@a.example\n\nAll are booked."
    text = parse_eml(make_mixed_mail((PLAIN, "See below."), ("Content-Type: message/rfc822", forwarded))).text
    assert text.endswith("See below.\n\nAttachments: Rooms in May.\n")


def test_mail_with_html_only_is_read_as_text() -> None:
    """Tables that place things are not tables."""
    html = "<table><tr><td><table><tr><td>Hello</td></tr><tr><td>Bob.</td></tr></table></td></tr></table>"
    message = f"Subject: Hi\nContent-Type: text/html; charset=utf-8\n\n{html}"
    assert "Hello\n\nBob." in parse_eml(message.encode()).text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_mail_saved_as_utf16_is_read(encoding: str) -> None:
    """Some programs save a message as they save a text."""
    assert parse_eml("Subject: Hi\nFrom: a@b.example\n\nText.\n".encode(encoding)).title == "Hi"


def test_marks_of_quoted_mail_go() -> None:
    """What somebody answers to is text like the rest."""
    text = parse_eml(b"Subject: Keys\nFrom: a@x.example\n\nYes.\n\n> > Is it open?\n>Ask.\n").text
    assert text.endswith("Yes.\n\nIs it open?\nAsk.\n")


def test_encrypted_mail_is_refused() -> None:
    """What can be read of it is noise."""
    with pytest.raises(UnreadableDocument, match="encrypted"):
        parse_eml(b"Subject: x\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nMIAG\n")


@pytest.mark.parametrize("data", [b"", b"nothing like it", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512])
def test_broken_outlook_message_is_refused(data: bytes) -> None:
    """Half a message is none."""
    with pytest.raises(UnreadableDocument, match=r"not a readable \.msg"):
        parse_msg(data)
