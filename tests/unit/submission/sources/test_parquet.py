from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.models import Amount, CustomerWrite, Day, Document
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.planning.prepare import prepare
from airflow_provider_arm.submission.sources.field_types import as_model, list_fields, list_item_type
from airflow_provider_arm.submission.sources.parquet import ROWS_PER_BLOCK
from airflow_provider_arm.submission.sources.source import FileSource
from tests.unit.submission.records import CANARY, CUSTOMERS, DOCUMENTS, MODELS, file_source
from tests.unit.submission.strategies import PLACES, valid_records

if TYPE_CHECKING:
    from pathlib import Path


def arrow_type(annotation: Any) -> pa.DataType:
    """Return the column type for a field."""
    if annotation == Amount:
        return pa.decimal128(28, PLACES)
    if annotation == Day:
        return pa.date32()
    if (group := as_model(annotation)) is not None:
        return pa.struct(list(arrow_schema(group)))
    if (item_type := list_item_type(annotation)) is not None:
        return pa.list_(arrow_type(item_type))
    return {str: pa.string(), int: pa.int64(), bool: pa.bool_()}[annotation]


def arrow_schema(model: Any) -> pa.Schema:
    """Return the schema for the records of a model, without fields whose content is not documented."""
    return pa.schema(
        [(name, arrow_type(kind)) for _, name, kind in list_fields(model) if list_item_type(kind) is not object]
    )


def as_arrow(value: Any, annotation: Any) -> Any:
    """Return a value with dates instead of their text."""
    if annotation == Day:
        return dt.date.fromisoformat(value)
    if (group := as_model(annotation)) is not None:
        kinds = {name: kind for _, name, kind in list_fields(group)}
        return {name: as_arrow(item, kinds[name]) for name, item in value.items()}
    if (item_type := list_item_type(annotation)) is not None:
        return [as_arrow(item, item_type) for item in value]
    return value


def parquet(path: Path, table: pa.Table, resource: str = "customers", **options: Any) -> FileSource:
    """Write a file and return its source."""
    pq.write_table(table, path, **options)
    return FileSource(path, str(path), MODELS[resource], resource)


def table_of(columns: dict[str, Any]) -> pa.Table:
    """Build a table with one row per value."""
    return pa.table(
        {name: value if isinstance(value, pa.Array) else pa.array(value) for name, value in columns.items()}
    )


def records(source: FileSource) -> list[dict[str, Any]]:
    """Return all records."""
    return [row.record for row in source.rows()]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), resource=st.sampled_from(["customers", "documents"]))
def test_parquet_and_jsonl_files_with_the_same_records_give_the_same_chunks(tmp_path, data, resource):
    """With all fields of both models, including structs and lists of structs."""
    model, operation = MODELS[resource], {"customers": CUSTOMERS, "documents": DOCUMENTS}[resource]
    rows = data.draw(st.lists(valid_records(model, loose=False), min_size=1, max_size=4))
    key = "documentNo" if resource == "documents" else "customerNo"
    for number, row in enumerate(rows):
        row[key] = str(number)
    table = pa.Table.from_pylist([as_arrow(row, model) for row in rows], schema=arrow_schema(model))
    sources = [
        parquet(tmp_path / "a.parquet", table, resource, row_group_size=data.draw(st.integers(1, 4))),
        file_source(tmp_path / "a.jsonl", b"\n".join(map(money.encode, rows)), resource),
    ]
    sent = []
    for source in sources:
        with prepare(source, operation, 3, key) as prepared:
            sent.append(list(prepared.chunks()))
    assert sent[0] == sent[1]


def test_decimal_amount_keeps_all_digits(tmp_path):
    """A decimal with 38 digits is never converted to a float."""
    amount = Decimal("123456789012345678.12345678901234567890")
    [record] = records(parquet(tmp_path / "a.parquet", table_of({"customerNo": ["1"], "limitAmount": [amount]})))
    assert record == {"customerNo": "1", "limitAmount": amount}
    assert str(record["limitAmount"]) == str(amount)


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16()])
@pytest.mark.parametrize(
    ("make", "column"),
    [
        (lambda kind: {"currencyAmounts.inclVat": kind}, "currencyAmounts.inclVat"),
        (lambda kind: {"currencyAmounts": pa.struct([("inclVat", kind)])}, "currencyAmounts.inclVat"),
        (lambda kind: {"currency_amounts": pa.struct([("incl_vat", kind)])}, "currency_amounts.incl_vat"),
        (lambda kind: {"documentLines": pa.list_(pa.struct([("price", kind)]))}, "documentLines.price"),
    ],
)
def test_float_column_raises_for_an_amount(tmp_path, kind, make, column):
    """Before the first row is read and at any depth; the message names the column and the types to use."""
    table = pa.schema([("customerNo", pa.string()), *make(kind).items()]).empty_table()
    with pytest.raises(SourceError, match=rf"^a.parquet, column {column}: .* not exact enough .* decimal128") as caught:
        records(parquet(tmp_path / "a.parquet", table, "documents"))
    assert caught.value.permanent


def test_column_names_may_be_wire_names_python_names_or_dotted(tmp_path):
    """Four ways to write one record."""
    ways = [
        {"customerNo": ["1"], "distribution": [{"type": "EMAIL", "einvoiceCode": 7}]},
        {"customer_no": ["1"], "distribution": [{"type": "EMAIL", "einvoice_code": 7}]},
        {"customerNo": ["1"], "distribution.type": ["EMAIL"], "distribution.einvoiceCode": [7]},
        {"customer_no": ["1"], "distribution.einvoice_code": [7], "distribution.type": ["EMAIL"]},
    ]
    for columns in ways:
        assert records(parquet(tmp_path / "a.parquet", table_of(columns))) == [
            {"customerNo": "1", "distribution": {"type": "EMAIL", "einvoiceCode": 7}}
        ]


def test_null_is_a_missing_key_at_any_depth(tmp_path):
    """ARM keeps its value. A null in a list is kept, and the model rejects it."""
    group = pa.struct([("type", pa.string()), ("einvoiceCode", pa.int64())])
    table = table_of(
        {
            "customerNo": ["1", "2"],
            "name": [None, "B"],
            "distribution": pa.array([{"type": None, "einvoiceCode": 7}, None], group),
            "emailAddressDocument": [["a", None], None],
        }
    )
    assert records(parquet(tmp_path / "a.parquet", table)) == [
        {"customerNo": "1", "distribution": {"einvoiceCode": 7}, "emailAddressDocument": ["a", None]},
        {"customerNo": "2", "name": "B"},
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([dt.date(2026, 1, 31)], pa.date32()), dt.date(2026, 1, 31)),
        (pa.array([dt.date(2026, 1, 31)], pa.date64()), dt.date(2026, 1, 31)),
        (pa.array([dt.datetime(2026, 1, 31)], pa.timestamp("ns")), dt.date(2026, 1, 31)),  # noqa: DTZ001
        (pa.array([dt.datetime(2026, 1, 31)], pa.timestamp("s")), dt.date(2026, 1, 31)),  # noqa: DTZ001
        (pa.array(["2026-01-31"]), "2026-01-31"),
        (pa.array(["2026-01-31"]).dictionary_encode(), "2026-01-31"),
        (pa.array([dt.datetime(2026, 1, 31, 1)], pa.timestamp("us")), "2026-01-31T01:00:00"),  # noqa: DTZ001
        (pa.array([dt.datetime(2026, 1, 31)], pa.timestamp("us", "UTC")), "2026-01-31T00:00:00+00:00"),  # noqa: DTZ001
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_date_field_accepts_each_type_that_is_certainly_a_date(tmp_path, values, expected):
    """Other timestamps become ISO 8601 text, which the model rejects."""
    [record] = records(parquet(tmp_path / "a.parquet", table_of({"customerNo": ["1"], "dateOfBirth": values})))
    assert record["dateOfBirth"] == expected


def test_date_in_a_text_field_becomes_iso_text(tmp_path):
    """As in JSON."""
    table = table_of(
        {"customerNo": ["1"], "name": pa.array([dt.date(2026, 1, 31)]), "phoneNo": pa.array([None], pa.null())}
    )
    assert records(parquet(tmp_path / "a.parquet", table)) == [{"customerNo": "1", "name": "2026-01-31"}]


def test_columns_with_the_remark_prefix_are_ignored(tmp_path):
    """Such as the index that pandas adds."""
    table = table_of({"__index_level_0__": [0.5], "customerNo": ["1"], "_reasons": [CANARY]})
    assert records(parquet(tmp_path / "a.parquet", table)) == [{"customerNo": "1"}]


def test_row_numbers_continue_across_row_groups(tmp_path):
    """With more rows than are read at once."""
    count = ROWS_PER_BLOCK * 2 + 3
    source = parquet(
        tmp_path / "a.parquet", table_of({"customerNo": [str(n) for n in range(1, count + 1)]}), row_group_size=700
    )
    assert [(row.number, row.record["customerNo"]) for row in source.rows()] == [
        (number, str(number)) for number in range(1, count + 1)
    ]


NANO = pa.array([1], pa.int64()).cast(pa.timestamp("ns"))
MALFORMED = [
    (
        {"customerNo": ["1"], "nmae": [CANARY]},
        "a.parquet, column nmae: no such field (did you mean name?); fields: customerNo, ",
    ),
    ({"customerNo": ["1"], "accountNo": [5]}, "a.parquet, column accountNo: no such field"),
    ({"customerNo": ["1"], "name.first": [CANARY]}, "a.parquet, column name.first: no such field"),
    (
        {"customerNo": ["1"], "distribution": [{"to": CANARY}]},
        "a.parquet, column distribution.to: no such field; fields: type, ",
    ),
    ({"customerNo": ["1"], "customer_no": [CANARY]}, "a.parquet, column customer_no: the field appears twice"),
    (
        {"customerNo": ["1"], "distribution": [{"type": CANARY}], "distribution.type": [CANARY]},
        "a.parquet, column distribution.type: the group that contains it is a column, too",
    ),
    ({"_row": [1]}, "a.parquet: no column is a field; fields: customerNo, "),
    ({"customerNo": ["1"], "dateOfBirth": NANO}, "a.parquet, column dateOfBirth: contains a value that cannot be read"),
]


@pytest.mark.parametrize(("columns", "message"), MALFORMED)
def test_invalid_column_raises_with_file_and_column_but_no_value(tmp_path, columns, message):
    """The message shows no content of the file."""
    with pytest.raises(SourceError) as caught:
        records(parquet(tmp_path / "a.parquet", table_of(columns)))
    assert str(caught.value).startswith(message)
    assert CANARY not in str(caught.value)


def test_text_that_is_not_utf8_raises_with_its_column(tmp_path):
    """The encoding is not guessed."""
    invalid = pa.array([b"\xe6"], pa.binary()).view(pa.string())
    with pytest.raises(SourceError, match=r"column name: contains a value that cannot be read \(UnicodeDecodeError\)"):
        records(parquet(tmp_path / "a.parquet", table_of({"customerNo": ["1"], "name": invalid})))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 2000), at=st.integers(0, 2000), byte=st.integers(0, 255))
def test_damaged_file_yields_records_or_source_error(tmp_path, cut, at, byte):
    """Cut or changed anywhere, it raises no other error."""
    source = parquet(tmp_path / "a.parquet", table_of({"customerNo": [str(n) for n in range(50)]}))
    whole = bytearray((tmp_path / "a.parquet").read_bytes())
    whole[at % len(whole)] = byte
    (tmp_path / "a.parquet").write_bytes(whole[: len(whole) - cut % 50])
    try:
        assert all(isinstance(record, dict) for record in records(source))
    except SourceError as error:
        assert str(error).startswith("a.parquet")  # noqa: PT017


def test_message_names_the_extra_when_pyarrow_is_not_installed(tmp_path, monkeypatch):
    """It is an optional dependency, because it is large."""
    source = parquet(tmp_path / "a.parquet", table_of({"customerNo": ["1"]}))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ArmConfigurationError, match=r"^a.parquet: .*install airflow-provider-arm\[parquet\]$"):
        records(source)


def test_schema_of_these_tests_has_all_documented_fields():
    """Otherwise the tests with both models would test less than they claim."""
    assert len(arrow_schema(CustomerWrite)) == len(CustomerWrite.model_fields)
    assert len(arrow_schema(Document)) == len(Document.model_fields) - 3
