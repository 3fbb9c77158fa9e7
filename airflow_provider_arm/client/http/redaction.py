"""Masking of personal data: a message shows ARM's own text, but nothing that it quotes of a person's record."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_arm.client import money

#: Fields whose values a message may show: numbers by which finance staff find a record, and plain codes.
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

#: Characters of the shortest value that is masked: a shorter one (a code such as ``M``) would replace parts of ordinary
#: words and identifies no person.
MIN_MASKED_LENGTH = 3

#: Characters of a message at most: enough to act on, too few for a page of someone's data.
MAX_MESSAGE_LENGTH = 300

# The warning that ARM documents quotes an address with a space after the @.
_EMAIL = re.compile(r"[^\s@,;:<>\"']+@\s?[^\s@,;:<>\"']+")
# Telephone, organisation, account and identity numbers and KIDs have eight digits or more. Not inside a UUID or date.
# Spaces and dots may separate the digits (8150.13.66584), and an IBAN begins with its country.
_LONG_NUMBER = re.compile(r"(?<![\w-])(?:\d(?:[ .]?\d){7,}|[A-Z]{2}\d(?:[ .]?\d){12,})(?![\w-])")


class QueryRedactionFilter(logging.Filter):
    """Log filter that removes the query from urllib3's debug lines for ARM: a filter such as ``name`` has a name."""

    #: Position of the URL in the arguments of urllib3's log line of a request.
    _URL_ARGUMENT = 4

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the query by ``...``; keep every line."""
        arguments = record.args
        if isinstance(arguments, tuple) and len(arguments) > self._URL_ARGUMENT:
            url = arguments[self._URL_ARGUMENT]
            if isinstance(url, str) and "/clients/" in url and "?" in url:
                redacted = (url.partition("?")[0] + "?...",)
                record.args = arguments[: self._URL_ARGUMENT] + redacted + arguments[self._URL_ARGUMENT + 1 :]
        return True


def mask(text: str, record: Any = None) -> str:
    """Mask what may be personal data in a message of ARM and cut it to :data:`MAX_MESSAGE_LENGTH` characters.

    :param record: what was sent, or its JSON text. Each of its values that the message quotes is replaced by the name
        of its field.
    """
    return Mask(record)(text)


class Mask:
    """:func:`mask` for many messages about one record: a set of thousands of records is walked once, not per message.

    :param record: see :func:`mask`.
    """

    def __init__(self, record: Any = None) -> None:
        self._values = {(field, value, value.casefold()) for field, value in _values(record) if value}

    def __call__(self, text: str) -> str:
        """Mask one message."""
        text = " ".join(text.split())
        folded = text.casefold()
        quoted = [(field, value) for field, value, folded_value in self._values if folded_value in folded]
        for field, value in sorted(quoted, key=lambda pair: (-len(pair[1]), pair)):
            if field not in UNMASKED_FIELDS and len(value) >= MIN_MASKED_LENGTH:
                placeholder = f"[{field}]".replace("\\", "\\\\")
                text = re.sub(re.escape(value), placeholder, text, flags=re.IGNORECASE)
        text = _EMAIL.sub("[email]", text)
        unmasked = {value for field, value in quoted if field in UNMASKED_FIELDS}
        text = _LONG_NUMBER.sub(lambda number: number[0] if number[0] in unmasked else "[number]", text)
        return text if len(text) <= MAX_MESSAGE_LENGTH else text[: MAX_MESSAGE_LENGTH - 1] + "…"


def _values(record: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a record with the name of its field."""
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
