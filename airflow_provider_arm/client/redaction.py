"""Keep people out of messages: what ARM says is shown, what it quotes of somebody's record is not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

#: Keys whose values may stand in a message: numbers by which finance people find a record, and plain codes.
SHOWN_KEYS = frozenset(
    {
        "activeStatusWeb",
        "countryCode",
        "countryText",
        "currency",
        "customerCategory",
        "customerNo",
        "documentDate",
        "documentNo",
        "documentType",
        "dueDate",
        "language",
        "lineType",
        "priceNetOrGross",
        "ssnCountry",
        "type",
    }
)

#: Shorter values (codes such as ``M``) would blot out whole words of the message and tell nothing of a person.
SHORTEST_MASKED = 3

#: What is left of a message: enough to act on, too short to hide a page of somebody's data in.
LONGEST_MESSAGE = 300

# ARM's own documented warning quotes an address with a blank behind the @.
_EMAIL = re.compile(r"[^\s@,;:<>\"']+@\s?[^\s@,;:<>\"']+")
# Telephone, organisation, account and identity numbers and KIDs have eight digits or more. Not inside a UUID or date.
# Blanks and dots may stand between the digits (8150.13.66584), an IBAN begins with its country.
_LONG_NUMBER = re.compile(r"(?<![\w-])(?:\d(?:[ .]?\d){7,}|[A-Z]{2}\d(?:[ .]?\d){12,})(?![\w-])")


def mask(text: str, record: Any = None) -> str:
    """Mask what may be personal in a message of ARM and cut it to :data:`LONGEST_MESSAGE`.

    :param record: what was sent; every value of it that the message quotes is replaced by its field's name.
    """
    text = " ".join(text.split())
    folded = text.casefold()
    for field, value in sorted(_personal_values(record), key=lambda pair: -len(pair[1])):
        if value.casefold() in folded:
            placeholder = f"[{field}]".replace("\\", "\\\\")
            text = re.sub(re.escape(value), placeholder, text, flags=re.IGNORECASE)
    text = _EMAIL.sub("[email]", text)
    text = _LONG_NUMBER.sub("[number]", text)
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"


def _personal_values(record: Any, field: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(record, Mapping):
        for key, value in record.items():
            if key not in SHOWN_KEYS:
                yield from _personal_values(value, str(key))
    elif isinstance(record, list | tuple):
        for value in record:
            yield from _personal_values(value, field)
    elif isinstance(record, str) and len(value := " ".join(record.split())) >= SHORTEST_MASKED:
        yield field, value
