"""reStructuredText gives its words, whoever defines the directives around them."""

from src.ingestion.parsers.rst import parse_rst

PAGE = b"""
=====
Leave
=====

See :ref:`travel <trips>`, :func:`~app.factory.create` and :data:`!g`.

.. note::
   Ask early.

.. versionadded:: 1.2
   Half days.

.. code-block:: python
   :caption: How

   leave(5)

.. toctree::

   other

.. include:: /etc/passwd

.. raw:: html

   <p>raw</p>

.. autoclass:: Flask
   :members:

Sick leave
----------

- one
- two

.. list-table::
   :header-rows: 1

   * - Kind
     - Days
   * - Sick
     - 10
"""


def test_structure_becomes_markdown_and_sphinx_keeps_its_words() -> None:
    """Title, sections, notes, versions, code and tables are there; markup, includes and raw HTML are not."""
    parsed = parse_rst(PAGE)
    assert parsed.title == "Leave"
    assert parsed.text == (
        "# Leave\n\nSee travel, create and g.\n\nNote\n\nAsk early.\n\nNew in version 1.2: Half days.\n\n"
        "```\nleave(5)\n```\n\nFlask\n\n## Sick leave\n\n- one\n- two\n\n"
        "| Kind | Days |\n| --- | --- |\n| Sick | 10 |\n"
    )


def test_errors_in_the_markup_do_not_lose_the_text() -> None:
    """What docutils complains about stays readable."""
    text = parse_rst(b"Title\n==\n\nAn *open end.\n\n  Indented.\nNot.\n").text
    assert "open end" in text
    assert "Indented" in text
    assert "System Message" not in text


def test_text_does_not_depend_on_what_was_read_before() -> None:
    """A process reads many files, and what one defines is nothing to the next."""
    page = b"T\n=\n\nUse :py3:`print` here.\n"
    before = parse_rst(page).text
    parse_rst(b"T\n=\n\n.. role:: py3(code)\n\n:py3:`x` here.\n")
    assert parse_rst(page).text == before


def test_sidebar_and_footer_are_read() -> None:
    """They are the document's own, not a site's."""
    words = parse_rst(b".. footer:: Ask Ann.\n\n.. sidebar:: Hint\n\n   Ask early.\n\nLeave.\n").text
    assert all(part in words for part in ("Hint", "Ask early.", "Leave.", "Ask Ann."))
