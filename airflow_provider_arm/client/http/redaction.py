"""Keep people out of messages: what ARM says is shown, what it quotes of somebody's record is not."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_arm.client import money

#: Keys whose values may stand in a message: numbers by which finance people find a record, and plain codes.
UNMASKED_FIELDS = frozenset(
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
MIN_MASKED_LENGTH = 3

#: What is left of a message: enough to act on, too short to hide a page of somebody's data in.
MAX_MESSAGE_LENGTH = 300

# ARM's own documented warning quotes an address with a blank behind the @.
_EMAIL = re.compile(r"[^\s@,;:<>\"']+@\s?[^\s@,;:<>\"']+")
# Telephone, organisation, account and identity numbers and KIDs have eight digits or more. Not inside a UUID or date.
# Blanks and dots may stand between the digits (8150.13.66584), an IBAN begins with its country.
_LONG_NUMBER = re.compile(r"(?<![\w-])(?:\d(?:[ .]?\d){7,}|[A-Z]{2}\d(?:[ .]?\d){12,})(?![\w-])")


class QueryRedactionFilter(logging.Filter):
    """Takes the query out of urllib3's debug lines for ARM: a filter such as ``name`` holds somebody's name."""

    #: Place of the address in the arguments of urllib3's line about a request.
    _URL_ARGUMENT = 4

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the line, never drop it."""
        arguments = record.args
        if isinstance(arguments, tuple) and len(arguments) > self._URL_ARGUMENT:
            url = arguments[self._URL_ARGUMENT]
            if isinstance(url, str) and "/clients/" in url and "?" in url:
                hidden = (url.partition("?")[0] + "?...",)
                record.args = arguments[: self._URL_ARGUMENT] + hidden + arguments[self._URL_ARGUMENT + 1 :]
        return True


def mask(text: str, record: Any = None) -> str:
    """Mask what may be personal in a message of ARM and cut it to :data:`MAX_MESSAGE_LENGTH`.

    :param record: what was sent, or its JSON text; every value of it that the message quotes is replaced by its field's
        name.
    """
    return Mask(record)(text)


class Mask:
    """:func:`mask` for many messages about one record: a set of thousands is looked through once, not once for each."""

    def __init__(self, record: Any = None) -> None:
        self._values = {(field, value, value.casefold()) for field, value in _values(record) if value}

    def __call__(self, text: str) -> str:
        """Mask one message."""
        text = " ".join(text.split())
        folded = text.casefold()
        quoted = [(field, value) for field, value, plain in self._values if plain in folded]
        for field, value in sorted(quoted, key=lambda pair: (-len(pair[1]), pair)):
            if field not in UNMASKED_FIELDS and len(value) >= MIN_MASKED_LENGTH:
                placeholder = f"[{field}]".replace("\\", "\\\\")
                text = re.sub(re.escape(value), placeholder, text, flags=re.IGNORECASE)
        text = _EMAIL.sub("[email]", text)
        shown = {value for field, value in quoted if field in UNMASKED_FIELDS}
        text = _LONG_NUMBER.sub(lambda found: found[0] if found[0] in shown else "[number]", text)
        return text if len(text) <= MAX_MESSAGE_LENGTH else text[: MAX_MESSAGE_LENGTH - 1] + "…"


def _values(record: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Give every text of a record with its field's name."""
    if isinstance(record, Mapping):
        for key, value in record.items():
            yield from _values(value, str(key))
    elif isinstance(record, list | tuple):
        for value in record:
            yield from _values(value, field)
    elif isinstance(record, bytes):
        yield from _values(money.decode(record), field)
    elif isinstance(record, str):
        yield field, " ".join(record.split())
