"""Errors about one record of a page."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.http.messages import InvalidDataError, Response
from airflow_provider_arm.export.files.encoders import ListSpec, choose_encoder
from airflow_provider_arm.export.files.faulty_record import locate_faults
from airflow_provider_arm.export.files.file_format import FileFormat
from airflow_provider_arm.export.pages.field_selection import select_fields
from airflow_provider_arm.export.pages.record_types import AR_ITEMS, CUSTOMERS, RecordType

FORMATS = ["jsonl", "csv", "parquet"]
GOOD = b'"currency":"NOK","currencyAmount":1,"voucherDate":"2025-02-27","transactionText":"ok"'


def page(faulty: bytes, rows: int = 5, position: int = 3, number: bytes = b"7") -> Response:
    """Build page 7, with one record that has other fields."""
    records = [b'{"arItemId":"id-%d",%b}' % (n, faulty if n == position else GOOD) for n in range(1, rows + 1)]
    return Response(200, {}, b'{"summary":{"pageNo":%b},"arItems":[%b]}' % (number, b",".join(records)))


def encode(response: Response, name: str, kind: RecordType = AR_ITEMS, **selection: Any) -> Any:
    """Encode a page as an export does."""
    spec = ListSpec(kind, "arItems", select_fields(kind, **selection))
    return locate_faults(choose_encoder(spec, FileFormat(name)), spec)(response)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("faulty", "fault"),
    [
        (b'"transactionText":"Bj\xf8rn"', "text that is not UTF-8 in transactionText"),
        (b'"transactionText":"\xc3"', "text that is not UTF-8 in transactionText"),
        (b'"transactionText":"\xed\xa0\xbd"', "text that is not UTF-8 in transactionText"),
        (b'"transactionText":"\xc0\xaf"', "text that is not UTF-8 in transactionText"),
        (b'"unknown":"\xff"', "text that is not UTF-8 in unknown"),
        (b'"currencyAmount":"1"', "a currencyAmount that "),
        (b'"currencyAmount":true', "a currencyAmount that "),
        (b'"currency":5', "a currency of the wrong type"),
    ],
)
def test_error_names_key_page_and_field(name, faulty, fault):
    """The error is permanent, and contains no value."""
    with pytest.raises(InvalidDataError) as caught:
        encode(page(faulty), name)
    assert f"AR items: arItemId id-3 (record 3 of page 7) has {fault}" in str(caught.value)
    assert "Bj" not in str(caught.value)


@pytest.mark.parametrize(
    ("faulty", "fault"),
    [
        (b'"dueDate":"2025-04-01T00:00:01"', "a dueDate that does not fit"),
        (b'"createdTime":"0001-01-01T00:00:00"', "a createdTime that does not fit"),
    ],
)
def test_date_that_is_none_stays_in_text_and_not_in_parquet(faulty, fault):
    """JSON lines and CSV have ARM's text; the dates in the manifest are those that are valid."""
    for name in ("jsonl", "csv"):
        found = encode(page(faulty), name)
        assert faulty.split(b":", 1)[1].strip(b'"') in found.data
        assert found.stats.invalid_dates == {fault.split()[1]}
        assert found.stats.ranges == {"voucherDate": ("2025-02-27", "2025-02-27")}
    with pytest.raises(InvalidDataError, match=rf"id-3 \(record 3 of page 7\) has {fault}"):
        encode(page(faulty), "parquet")


@pytest.mark.parametrize("name", FORMATS)
def test_date_by_which_the_export_is_limited_must_be_valid(name):
    """Whether the record is in the window is unknown."""
    spec = ListSpec(AR_ITEMS, "arItems", select_fields(AR_ITEMS), ("voucherDate",))
    encode_page = locate_faults(choose_encoder(spec, FileFormat(name)), spec)
    with pytest.raises(InvalidDataError, match=r"id-3 \(record 3 of page 7\) has a voucherDate that"):
        encode_page(page(b'"voucherDate":"0000-00-00"'))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.data(), st.sampled_from(FORMATS), st.sampled_from([b'"currency":5', b'"kid":"\xff"']))
def test_error_names_the_record_wherever_it_is(rows, data, name, faulty):
    """Whatever the number of records before and after it."""
    position = data.draw(st.integers(1, rows))
    with pytest.raises(InvalidDataError, match=rf"arItemId id-{position} \(record {position} of page 7\)"):
        encode(page(faulty, rows, position), name)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("record", [b"7", b"null", b'{"kid":"1"}', b'{"arItemId":null}', b'{"arItemId":"\xff"}'])
def test_error_names_the_place_when_the_record_has_no_key(name, record):
    """Without a page number it is only the record's number."""
    body = b'{"summary":{},"arItems":[{"arItemId":"1"},%b]}' % record
    with pytest.raises(InvalidDataError, match=r"AR items: record 2 has (no |text that)"):
        encode(Response(200, {}, body), name)


def test_error_does_not_name_a_masked_key():
    """What is not written to the file is not in the log either."""
    body = b'{"summary":{"pageNo":1},"arItems":[{"customerNo":"77003","name":"\xff"}]}'
    with pytest.raises(InvalidDataError, match=r"customers: record 1 of page 1 has text that is not UTF-8 in name"):
        encode(Response(200, {}, body), "jsonl", CUSTOMERS, mask=["customerNo"])


@pytest.mark.parametrize("name", FORMATS)
def test_error_about_the_whole_page_names_no_record(name):
    """The sum of many amounts may be too large, although each amount is not."""
    with pytest.raises(ValueError, match=r"not UTF-8|summary") as caught:
        encode(Response(200, {}, b'{"summary":{"x":"\xff"},"arItems":[{"arItemId":"1"}]}'), name)
    assert "record" not in str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("value", [b'"\\ud800"', b'"\\udc00\\ud800"', b"NaN", b"-Infinity"])
def test_error_names_the_record_when_only_some_parsers_read_the_page(name, value):
    """Half a surrogate pair is valid JSON and no text; ``NaN`` is no JSON."""
    with pytest.raises(InvalidDataError, match=r"id-3 \(record 3 of page 7\) has a value that cannot be read in kid"):
        encode(page(b'"kid":' + value), name)


@pytest.mark.parametrize("name", FORMATS)
def test_deep_nesting_is_a_permanent_error(name):
    """A recursion error of the parser is not retried."""
    with pytest.raises(InvalidDataError, match="nested too deeply"):
        encode(page(b'"x":' + b"[" * 5000 + b"]" * 5000), name)
