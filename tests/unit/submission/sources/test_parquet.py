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
from airflow_provider_arm.submission.sources.field_types import as_model_class, list_item_type, strip_optional
from airflow_provider_arm.submission.sources.parquet import ROWS_PER_BLOCK
from airflow_provider_arm.submission.sources.source import FileSource
from tests.unit.submission.records import CANARY, CUSTOMERS, DOCUMENTS, MODELS, file_source
from tests.unit.submission.strategies import PLACES, valid_records

if TYPE_CHECKING:
    from pathlib import Path


def arrow_type(annotation: Any) -> pa.DataType:
    """Give the column type that holds a field."""
    if annotation == Amount:
        return pa.decimal128(28, PLACES)
    if annotation == Day:
        return pa.date32()
    if (group := as_model_class(annotation)) is not None:
        return pa.struct(list(arrow_schema(group)))
    if (member := list_item_type(annotation)) is not None:
        return pa.list_(arrow_type(member))
    return {str: pa.string(), int: pa.int64(), bool: pa.bool_()}[annotation]


def arrow_schema(model: Any) -> pa.Schema:
    """Give the schema of a model's records."""
    fields = [(field.alias, strip_optional(field.annotation)) for field in model.model_fields.values()]
    return pa.schema([(name, arrow_type(kind)) for name, kind in fields if list_item_type(kind) is not object])


def as_arrow(value: Any, annotation: Any) -> Any:
    """Give a value as Arrow takes it: days as days."""
    if annotation == Day:
        return dt.date.fromisoformat(value)
    if (group := as_model_class(annotation)) is not None:
        kinds = {field.alias: strip_optional(field.annotation) for field in group.model_fields.values()}
        return {name: as_arrow(item, kinds[name]) for name, item in value.items()}
    if (member := list_item_type(annotation)) is not None:
        return [as_arrow(item, member) for item in value]
    return value


def parquet(path: Path, table: pa.Table, resource: str = "customers", **options: Any) -> FileSource:
    """Write a file and give it as a source."""
    pq.write_table(table, path, **options)
    return FileSource(path, str(path), MODELS[resource], resource)


def of(columns: dict[str, Any]) -> pa.Table:
    """Make a table of one row for each value."""
    return pa.table(
        {name: value if isinstance(value, pa.Array) else pa.array(value) for name, value in columns.items()}
    )


def records(source: FileSource) -> list[dict[str, Any]]:
    """Read all records."""
    return [row.record for row in source.rows()]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), resource=st.sampled_from(["customers", "documents"]))
def test_the_same_records_give_the_same_bytes_as_from_jsonl(tmp_path, data, resource):
    """Every field of both models, structs and lists of structs among them: one plan, byte for byte."""
    model, operation = MODELS[resource], {"customers": CUSTOMERS, "documents": DOCUMENTS}[resource]
    rows = data.draw(st.lists(valid_records(model, loose=False), min_size=1, max_size=4))
    for number, row in enumerate(rows):
        row["documentNo" if resource == "documents" else "customerNo"] = str(number)
    table = pa.Table.from_pylist([as_arrow(row, model) for row in rows], schema=arrow_schema(model))
    sources = [
        parquet(tmp_path / "a.parquet", table, resource, row_group_size=data.draw(st.integers(1, 4))),
        file_source(tmp_path / "a.jsonl", b"\n".join(map(money.encode, rows)), resource),
    ]
    sent = []
    for source in sources:
        with prepare(source, operation, 3, "documentNo") as prepared:
            sent.append(list(prepared.chunks()))
    assert sent[0] == sent[1]


def test_an_amount_keeps_every_digit_that_its_column_has(tmp_path):
    """A decimal of 38 digits passes no float."""
    amount = Decimal("123456789012345678.12345678901234567890")
    [record] = records(parquet(tmp_path / "a.parquet", of({"customerNo": ["1"], "limitAmount": [amount]})))
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
def test_a_column_of_floats_is_refused_where_an_amount_is_wanted(tmp_path, kind, make, column):
    """Before the first row is read, at any depth, with the column's name and what to do."""
    table = pa.schema([("customerNo", pa.string()), *make(kind).items()]).empty_table()
    with pytest.raises(SourceError, match=rf"^a.parquet, column {column}: holds .* not exact .* decimal128") as caught:
        records(parquet(tmp_path / "a.parquet", table, "documents"))
    assert caught.value.permanent


def test_names_are_the_wires_or_pythons_and_groups_may_stand_with_dots(tmp_path):
    """Four ways to write one record."""
    ways = [
        {"customerNo": ["1"], "distribution": [{"type": "EMAIL", "einvoiceCode": 7}]},
        {"customer_no": ["1"], "distribution": [{"type": "EMAIL", "einvoice_code": 7}]},
        {"customerNo": ["1"], "distribution.type": ["EMAIL"], "distribution.einvoiceCode": [7]},
        {"customer_no": ["1"], "distribution.einvoice_code": [7], "distribution.type": ["EMAIL"]},
    ]
    for columns in ways:
        assert records(parquet(tmp_path / "a.parquet", of(columns))) == [
            {"customerNo": "1", "distribution": {"type": "EMAIL", "einvoiceCode": 7}}
        ]


def test_a_null_is_a_missing_key_at_any_depth(tmp_path):
    """ARM keeps what it has; a null among the members of a list stays one, for the model to refuse."""
    group = pa.struct([("type", pa.string()), ("einvoiceCode", pa.int64())])
    table = of(
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
def test_days_are_days_however_they_are_stored(tmp_path, values, expected):
    """What is certainly a day is one; a moment stays a moment in ISO 8601, which the model refuses as a day."""
    [record] = records(parquet(tmp_path / "a.parquet", of({"customerNo": ["1"], "dateOfBirth": values})))
    assert record["dateOfBirth"] == expected


def test_a_time_in_a_field_of_text_is_iso_text(tmp_path):
    """As in any JSON of the same record."""
    table = of({"customerNo": ["1"], "name": pa.array([dt.date(2026, 1, 31)]), "phoneNo": pa.array([None], pa.null())})
    assert records(parquet(tmp_path / "a.parquet", table)) == [{"customerNo": "1", "name": "2026-01-31"}]


def test_columns_that_begin_with_a_line_are_remarks(tmp_path):
    """Such as the index that pandas adds."""
    table = of({"__index_level_0__": [0.5], "customerNo": ["1"], "_reasons": [CANARY]})
    assert records(parquet(tmp_path / "a.parquet", table)) == [{"customerNo": "1"}]


def test_rows_are_numbered_through_all_groups_of_rows(tmp_path):
    """From 1, past the rows that are read at once."""
    count = ROWS_PER_BLOCK * 2 + 3
    source = parquet(
        tmp_path / "a.parquet", of({"customerNo": [str(n) for n in range(1, count + 1)]}), row_group_size=700
    )
    assert [(row.number, row.record["customerNo"]) for row in source.rows()] == [
        (number, str(number)) for number in range(1, count + 1)
    ]


NANO = pa.array([1], pa.int64()).cast(pa.timestamp("ns"))
MALFORMED = [
    ({"customerNo": ["1"], "nmae": [CANARY]}, "a.parquet, column nmae: there is no such field; there are customerNo, "),
    ({"customerNo": ["1"], "accountNo": [5]}, "a.parquet, column accountNo: there is no such field"),
    ({"customerNo": ["1"], "name.first": [CANARY]}, "a.parquet, column name.first: there is no such field"),
    ({"customerNo": ["1"], "distribution": [{"to": CANARY}]}, "a.parquet, column distribution.to: there is no such"),
    ({"customerNo": ["1"], "customer_no": [CANARY]}, "a.parquet, column customer_no: the field stands twice"),
    (
        {"customerNo": ["1"], "distribution": [{"type": CANARY}], "distribution.type": [CANARY]},
        "a.parquet, column distribution.type: its group stands there as a column too",
    ),
    ({"_row": [1]}, "a.parquet: has no column that is a field; there are customerNo, "),
    ({"customerNo": ["1"], "dateOfBirth": NANO}, "a.parquet, column dateOfBirth: holds a value that cannot be read"),
]


@pytest.mark.parametrize(("columns", "message"), MALFORMED)
def test_a_column_that_cannot_be_is_named(tmp_path, columns, message):
    """One error with file and column, and no value."""
    with pytest.raises(SourceError) as caught:
        records(parquet(tmp_path / "a.parquet", of(columns)))
    assert str(caught.value).startswith(message)
    assert CANARY not in str(caught.value)


def test_text_that_is_not_utf8_is_named_by_its_column(tmp_path):
    """Nothing is guessed."""
    wrong = pa.array([b"\xe6"], pa.binary()).view(pa.string())
    with pytest.raises(SourceError, match=r"column name: holds a value that cannot be read \(UnicodeDecodeError\)"):
        records(parquet(tmp_path / "a.parquet", of({"customerNo": ["1"], "name": wrong})))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 2000), at=st.integers(0, 2000), byte=st.integers(0, 255))
def test_a_damaged_file_gives_records_or_one_source_error(tmp_path, cut, at, byte):
    """Cut or changed anywhere: never another kind of error."""
    source = parquet(tmp_path / "a.parquet", of({"customerNo": [str(n) for n in range(50)]}))
    whole = bytearray((tmp_path / "a.parquet").read_bytes())
    whole[at % len(whole)] = byte
    (tmp_path / "a.parquet").write_bytes(whole[: len(whole) - cut % 50])
    try:
        assert all(isinstance(record, dict) for record in records(source))
    except SourceError as error:
        assert str(error).startswith("a.parquet")  # noqa: PT017


def test_without_pyarrow_the_message_names_the_extra(tmp_path, monkeypatch):
    """It is an extra, because it is large."""
    source = parquet(tmp_path / "a.parquet", of({"customerNo": ["1"]}))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ArmConfigurationError, match=r"^a.parquet: .*install airflow-provider-arm\[parquet\]$"):
        records(source)


def test_both_models_can_be_written_as_parquet():
    """The schema that these tests use has every field but those whose content is not published."""
    assert len(arrow_schema(CustomerWrite)) == len(CustomerWrite.model_fields)
    assert len(arrow_schema(Document)) == len(Document.model_fields) - 3
