"""One form for the text of a sample, whatever system it was written on."""

from __future__ import annotations

import unicodedata

INVISIBLE = "\ufeff\u200b\u2060\u200e\u200f"
"""Byte order marks and what has no width: they come along with copied text, and nobody sees them."""


def plain_text(text: str) -> str:
    """The text as it is stored and as a model sees it: lines end in ``\\n``, letters are composed (Unicode's NFC), and
    blanks, byte order marks and zero-width blanks at both ends go. Blanks inside stay, for indentation may say
    something."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    while (shorter := text.strip().strip(INVISIBLE)) != text:
        text = shorter
    return text


def text_of(sample: bytes) -> str:
    """The plain text of an encoded sample.

    Raises:
        ValueError: it is not UTF-8, or there is nothing but blanks in it; the message is the reason alone.
    """
    try:
        text = plain_text(sample.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start:,}): save it as UTF-8") from error
    if not text:
        raise ValueError("there is no text in it")
    if "\0" in text:
        raise ValueError("it holds a NUL character: it is damaged, or no text")
    return text
