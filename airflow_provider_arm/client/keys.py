"""Comparison of keys: the one rule by which two natural keys are the same.

ARM does not distinguish capital letters (documented). White space around a key and characters that no one sees differ
only by accident, so they do not distinguish keys either: a document is never booked twice because of them.
"""

from __future__ import annotations

import re
from unicodedata import normalize

#: Characters without a visible form: control characters, soft hyphen, zero-width and directional marks, variation
#: selectors, byte order mark.
INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
)
_INVISIBLE = re.compile(f"[{INVISIBLE}]")


def fold(text: str) -> str:
    """Return *text* in the form in which two keys, or two values, that are the same are equal.

    Case folded, without white space around it, without :data:`INVISIBLE` characters, each white space character inside
    as a blank, and letters with accents composed.
    """
    if text.isascii() and text.isprintable():
        return text.strip().casefold()
    visible = " ".join(re.split(r"\s", _INVISIBLE.sub("", text).strip()))
    # Folding can decompose letters, and composing can yield capitals.
    return normalize("NFC", normalize("NFC", visible).casefold())
