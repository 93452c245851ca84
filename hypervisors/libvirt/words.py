"""Tenants' words in XML."""

import re

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def printable(text: str) -> str:
    """Return the text with what XML cannot hold replaced."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)
