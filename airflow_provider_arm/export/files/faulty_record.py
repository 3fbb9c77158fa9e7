"""Errors about one record of a page: which record it is, and which of its fields."""

from __future__ import annotations

import json
from bisect import bisect_left
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_arm.client.http.messages import InvalidDataError, Response
from airflow_provider_arm.client.paging import split_list, split_page
from airflow_provider_arm.export.pages.page_body import page_text
from airflow_provider_arm.export.pages.page_stats import invalid_records_error
from airflow_provider_arm.export.pages.texts import cell, fields_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_arm.export.fetch.page_fetcher import FetchedPage
    from airflow_provider_arm.export.files.encoders import ListSpec, PageEncoder

#: Characters of a key that a message quotes; ARM's keys have at most 50.
_KEY_LENGTH = 64


def locate_faults(encoder: PageEncoder, list_spec: ListSpec) -> Callable[[Response], FetchedPage]:
    """Return the ``encode`` of *encoder*, with an error that names the record, its page and its field.

    If one record is the reason, the error is an :class:`InvalidDataError`, which is permanent: ARM would return the
    same record again.
    """

    def encode(response: Response) -> FetchedPage:
        try:
            return encoder.encode(response)
        except RecursionError:
            raise InvalidDataError("JSON that is nested too deeply") from None
        except ValueError as error:
            raise _FaultFinder(encoder, list_spec).describe(response, error) from None

    return encode


class _FaultFinder:
    """Finder of the record, and of the field, for which an encoder raises an error. It encodes parts of the page."""

    def __init__(self, encoder: PageEncoder, list_spec: ListSpec) -> None:
        self._encoder = encoder
        self._list_spec = list_spec

    def describe(self, response: Response, error: ValueError) -> ValueError:
        """Return the error for the first record that cannot be encoded; *error* if no single record is the reason."""
        try:
            page_no, records = _split_page(response, self._list_spec.list_key)
        except ValueError:
            return error
        position = bisect_left(range(1, len(records) + 1), 1, key=lambda count: self._fails(records[:count]))
        if position == len(records) or not self._fails([records[position]]):
            return error
        place = f"record {position + 1}" + (f" of page {page_no}" if page_no else "")
        return self._describe_record(records[position], place, error)

    def _describe_record(self, record: bytes, place: str, error: ValueError) -> InvalidDataError:
        key_name = self._list_spec.record_type.key
        try:
            fields = _split_record(record)
        except (ValueError, TypeError):
            return invalid_records_error(self._list_spec.record_type, "no fields", place)
        key = _printable_key(fields, key_name, self._list_spec.selection.masked)
        culprit = next((name for name in fields if name != key_name and self._passes_without(fields, name)), None)
        # The first error may be about another record.
        try:
            self._encode([record])
        except ValueError as own_error:
            error = own_error
        fault = getattr(error, "fault", "") or "a value that cannot be read"
        if culprit is not None and culprit not in fault:
            fault = f"{fault} in {culprit}"
        return invalid_records_error(
            self._list_spec.record_type, fault, f"{key_name} {key} ({place})" if key is not None else place
        )

    def _passes_without(self, fields: dict[str, bytes], name: str) -> bool:
        rest = [b"%b:%b" % (json.dumps(other).encode(), raw) for other, raw in fields.items() if other != name]
        return not self._fails([b"{%b}" % b",".join(rest)])

    def _fails(self, records: Sequence[bytes]) -> bool:
        try:
            self._encode(records)
        except ValueError:
            return True
        return False

    def _encode(self, records: Sequence[bytes]) -> None:
        text = page_text(self._list_spec.list_key, b"[%b]" % b",".join(records))
        self._encoder.encode(Response(200, {}, text))


def _split_page(response: Response, list_key: str) -> tuple[int | None, Sequence[bytes]]:
    """Return the page's number, and the text of each record.

    Python's parser also reads what msgspec does not, such as half a surrogate pair or ``NaN``.

    :raises ValueError: it is not a page.
    """
    try:
        summary, text = split_page(response, list_key)
        return summary.page_no, split_list(text)
    except ValueError:
        body = json.loads(response.body)
        if not (isinstance(body, dict) and isinstance(body.get(list_key), list)):
            raise
        counts = body.get("summary")
        page_no = counts.get("pageNo") if isinstance(counts, dict) else None
        return page_no if isinstance(page_no, int) else None, [json.dumps(record).encode() for record in body[list_key]]


def _split_record(record: bytes) -> dict[str, bytes]:
    """Return the text of each field; see :func:`_split_page`."""
    try:
        return {name: bytes(raw) for name, raw in next(fields_of([msgspec.Raw(record)])).items()}
    except ValueError:
        return {name: json.dumps(value).encode() for name, value in dict(json.loads(record)).items()}


def _printable_key(fields: dict[str, bytes], name: str | None, masked: frozenset[str]) -> str | None:
    """Return the key of a record for a message; ``None`` if it has none that can be shown."""
    try:
        key = None if name is None or name in masked or name not in fields else cell(msgspec.Raw(fields[name]))
    except ValueError:
        return None
    return key[:_KEY_LENGTH] if key and key.isprintable() else None
