"""reStructuredText gives its words, whoever defines the directives around them."""

import pytest

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


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (".. math::\n   :label: eq\n\n   a = b*c\n", "a = b*c"),
        (".. figure:: x.png\n   :align: default\n\n   Caption.\n", "Caption."),
        (".. note::\n   :bad: x\n\n   Ask early.\n", "Ask early."),
        (".. admonition::\n\n   Ask early.\n", "Ask early."),
        (".. code:: python\n   :caption: How\n\n   leave(5)\n", "leave(5)"),
        ("===  ===\na    b\n===  ===\ntoo long  x\n===  ===\n", "===  ===\na    b\n===  ===\ntoo long  x\n===  ==="),
        ("+---+---+\n| a | b |\n+---+--+\n", "+---+---+\n| a | b |\n+---+--+"),
        (".. list-table::\n\n   * - Kind\n     - Days\n   * - Sick\n", "* - Kind\n  - Days\n* - Sick"),
        ("  Deep\n  ----\n", "Deep\n----"),
    ],
)
def test_words_of_what_docutils_refuses_stay_in_their_place(source: str, words: str) -> None:
    """An option of Sphinx's or a crooked table is an error to docutils, and its source is all that is left of it."""
    assert f"Before.\n\n```\n{words}\n```\n\nAfter." in parse_rst(f"Before.\n\n{source}\nAfter.\n".encode()).text


def test_errors_about_no_words_leave_nothing() -> None:
    """An image, a class and a name that is taken twice say nothing to a person."""
    source = (
        ".. image:: a.png\n   :bad: x\n\n.. class::\n\n.. |a| image:: b.png\n   :bad: x\n\n.. _b:\n\n.. _b:\n\nText.\n"
    )
    assert parse_rst(source.encode()).text == "Text.\n"


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
