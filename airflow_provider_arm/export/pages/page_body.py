"""Parser of a page's body: the summary, and each record as the type that is needed."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm.client import money
from airflow_provider_arm.client.http.messages import InvalidDataError
from airflow_provider_arm.client.models import PageSummary
from airflow_provider_arm.client.paging import split_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_arm.client.http.messages import Response

_SUMMARY = "summary"


@dataclass(frozen=True, slots=True)
class PageBody:
    """A page: *text* is a JSON object with the list of records under the expected key."""

    summary: PageSummary
    records: Sequence[Any]
    text: bytes


class PageBodyParser:
    """Parser of bodies, in one pass if the list has the expected key, otherwise in two.

    :param key: the expected key of the list.
    :param record: the type to which a record is decoded; default its text.
    """

    def __init__(self, key: str, record: Any = msgspec.Raw) -> None:
        self._key = key
        fields = [
            (_SUMMARY, msgspec.Raw, msgspec.field(name=_SUMMARY)),
            ("records", list[record], msgspec.field(name=key)),
        ]
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(msgspec.defstruct("Body", fields))

    def split(self, response: Response) -> PageBody:
        """Split a response into summary and records.

        :raises InvalidDataError: the body is a page, but not UTF-8.
        :raises ValueError: the body is not a page, or a record is not of its type.
        """
        if response.status == HTTPStatus.NO_CONTENT:
            return PageBody(split_page(response, self._key)[0], [], wrap_records(self._key, b"[]"))
        try:
            body, text = self._decoder.decode(response.body), response.body
        except msgspec.ValidationError:
            # The list may have another key (Q8).
            summary, records = split_page(response, self._key)
            text = page_text(self._key, records)
            body = self._decoder.decode(text)
            check_utf8(text)
            return PageBody(summary, body.records, text)
        check_utf8(text)
        return PageBody(PageSummary.from_wire(money.decode(bytes(body.summary))), body.records, text)


def check_utf8(text: bytes) -> None:
    """Check that JSON text is UTF-8: msgspec copies the text of a field without decoding it.

    :raises InvalidDataError: it is not.
    """
    try:
        if not text.isascii():
            text.decode()
    except UnicodeDecodeError:
        fault = "text that is not UTF-8"
        raise InvalidDataError(f"a page with {fault}", fault) from None


def wrap_records(key: str, records: bytes) -> bytes:
    """Return a JSON object with the text of a list under *key*."""
    return b"{%b:%b}" % (msgspec.json.encode(key), records)


def page_text(key: str, records: bytes) -> bytes:
    """Return the text of a page with the text of a list and an empty summary."""
    return b'{"%b":{},%b' % (_SUMMARY.encode(), wrap_records(key, records)[1:])
