from __future__ import annotations

import os
import stat
import tempfile
import tracemalloc
from contextlib import closing
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.planning import prepare as prepare_module
from airflow_provider_arm.submission.planning.prepare import prepare
from airflow_provider_arm.submission.planning.spool import Spool
from airflow_provider_arm.submission.planning.validate import MAX_LISTED_ROWS, validate_rows, validate_with_model
from airflow_provider_arm.submission.sources.rows import RAW_TEXT_REMARK, chunk_rows
from airflow_provider_arm.submission.sources.source import ListSource, Source
from tests.unit.submission.records import CANARY, CUSTOMERS, DOCUMENTS, customer, document, file_source

if TYPE_CHECKING:
    from collections.abc import Iterator

# ---- invalid rows

#: Lines of a file: valid records, two with the same document number, invalid records, other JSON, not JSON, blank.
LINES = [
    '{"customerNo":"1","documentNo":"%d"}',
    '{"customer_no":"1","document_no":"%d"}',
    '{"customerNo":"1","documentNo":"twice"}',
    '{"customerNo":"1","documentNo":"TWICE"}',
    '{"customerNo":"","documentNo":"%d"}',
    f'{{"documentNo":"%d","{CANARY}":1}}',
    f'"{CANARY}"',
    f'{{"name":"{CANARY}"',
    '{"customerNo":"1","documentNo":"%d","x":1e999}',
    "",
]


def lines_of(kinds: list[int]) -> str:
    """Return the text of a file with these :data:`LINES`."""
    return "".join(
        (LINES[kind] % number if "%" in LINES[kind] else LINES[kind]) + "\n" for number, kind in enumerate(kinds)
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(st.integers(0, len(LINES) - 1), max_size=30), size=st.integers(1, 5))
def test_chunks_contain_the_valid_rows_of_validate_rows(tmp_path, kinds, size):
    """For any mixture of lines with ``skip_invalid``; the other rows are counted as invalid."""
    source = file_source(tmp_path / "a.jsonl", lines_of(kinds), "documents")
    validated = list(validate_rows(source, DOCUMENTS, "documentNo"))
    assert validated == list(validate_rows(source, DOCUMENTS, "documentNo"))
    assert [row.number for row, _ in validated] == [number for number, kind in enumerate(kinds, 1) if LINES[kind]]
    valid = [row for row, issues in validated if not issues]
    if not valid:
        with pytest.raises(SourceError):
            prepare(source, DOCUMENTS, size, "documentNo", skip_invalid=True)
        return
    with prepare(source, DOCUMENTS, size, "documentNo", skip_invalid=True) as prepared:
        chunks = list(prepared.chunks())
        assert prepared.invalid_count == len(validated) - len(valid)
        assert prepared.plan.records == len(valid)
    for rows, (plan, text) in zip(chunk_rows(valid, size), chunks, strict=True):
        assert (plan.first_row, plan.last_row, plan.records) == (rows[0].number, rows[-1].number, len(rows))
        assert text == money.encode([validate_with_model(DOCUMENTS, row.record) for row in rows])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(st.integers(0, len(LINES) - 1), min_size=1, max_size=40))
def test_invalid_rows_raise_by_default_and_all_are_counted(tmp_path, kinds):
    """A line that is not JSON does not end the validation, and the message shows no value."""
    source = file_source(tmp_path / "a.jsonl", lines_of(kinds), "documents")
    invalid = [(row.number, issues) for row, issues in validate_rows(source, DOCUMENTS, "documentNo") if issues]
    if not invalid:
        return
    with pytest.raises(SourceError, match=rf"^a.jsonl: {len(invalid)} rows? (is|are) invalid and nothing ") as caught:
        prepare(source, DOCUMENTS, 2, "documentNo")
    places = [issue.field.partition(",")[0] for issue in caught.value.errors]
    assert list(dict.fromkeys(places)) == [f"row {number}" for number, _ in invalid[:MAX_LISTED_ROWS]]
    assert CANARY not in str(caught.value)


def test_row_that_is_not_a_record_keeps_its_text(tmp_path):
    """The rejects file shows it, and it is still invalid when that file is submitted."""
    text = b'{"customerNo":"1"}\n{"name":"\xc3\x98\xe6\r\n["a"]\n{"customerNo":"2",}'
    rows = list(validate_rows(file_source(tmp_path / "a.jsonl", text), CUSTOMERS, "customerNo"))
    assert [row.record for row, _ in rows] == [
        {"customerNo": "1"},
        {RAW_TEXT_REMARK: '{"name":"Ø�'},
        {RAW_TEXT_REMARK: '["a"]'},
        {RAW_TEXT_REMARK: '{"customerNo":"2",}'},
    ]
    [(_, issues)] = validate_rows(ListSource([rows[1][0].record]), CUSTOMERS, "customerNo")
    assert [str(issue) for issue in issues] == ["customerNo: is required"]


def test_csv_row_of_another_length_is_one_invalid_row(tmp_path):
    """The rows below it are read; its text is kept with quotes and separators."""
    source = file_source(tmp_path / "a.csv", 'customerNo;name\n1;A\n2\n3;"x;y";z\n4;B\n')
    with prepare(source, CUSTOMERS, 5, "customerNo", skip_invalid=True) as prepared:
        assert [text for _, text in prepared.chunks()] == [
            b'[{"customerNo":"1","name":"A"},{"customerNo":"4","name":"B"}]'
        ]
        assert [str(issue) for issue in prepared.issues] == [
            "row 2, column name: the row has 1 cells, but the header has 2",
            "row 3: the row has 3 cells, but the header has 2",
        ]
    texts = [row.record for row, issues in validate_rows(source, CUSTOMERS, "customerNo") if issues]
    assert texts == [{RAW_TEXT_REMARK: "2"}, {RAW_TEXT_REMARK: '3;"x;y";z'}]


def test_deeply_nested_record_is_at_most_one_invalid_row(tmp_path):
    """At any depth it raises no other error, such as ``RecursionError``."""
    for depth in (100, 500, 900, 1100, 50_000):
        deep = f'{{"customerNo":"1","x":{"[" * depth}{"]" * depth}}}\n{{"customerNo":"2"}}'
        with prepare(
            file_source(tmp_path / "a.jsonl", deep), CUSTOMERS, 5, "customerNo", skip_invalid=True
        ) as prepared:
            assert prepared.plan.records + prepared.invalid_count == 2
            assert prepared.plan.records >= 1


# ---- the spool


@settings(max_examples=100, deadline=None)
@given(chunks=st.lists(st.binary(max_size=40), max_size=12), memory=st.integers(1, 200), data=st.data())
def test_spool_returns_chunks_in_any_order(chunks, memory, data):
    """Below and above the memory limit, repeatedly, and while chunks are appended."""
    with closing(Spool("a", memory)) as spool:
        for count, chunk in enumerate(chunks, 1):
            spool.append(chunk)
            at = data.draw(st.integers(0, count - 1))
            assert spool[at] == chunks[at]
        order = data.draw(st.permutations(range(len(chunks))))
        assert [spool[at] for at in order] == [chunks[at] for at in order]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads the open files from /proc")
def test_spool_above_its_memory_limit_uses_a_file_without_a_name(tmp_path, monkeypatch):
    """No other user can open it, and a killed process leaves no personal data behind."""

    def open_files() -> list[str]:
        links = []
        for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208
            try:
                links.append((entry, os.readlink(f"/proc/self/fd/{entry}")))  # noqa: PTH115
            except OSError:
                continue
        return [entry for entry, link in links if link.startswith(str(tmp_path))]

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with closing(Spool("a", memory=10)) as spool:
        spool.append(b"0123456789")
        assert open_files() == []
        spool.append(CANARY.encode())
        [descriptor] = open_files()
        assert list(tmp_path.iterdir()) == []
        assert stat.S_IMODE(os.fstat(int(descriptor)).st_mode) == 0o600
        assert spool[1] == CANARY.encode()
    assert open_files() == []


def test_full_disk_raises_source_error_and_closes_the_spool(monkeypatch):
    """The message names the environment variable for the folder."""
    closed = []

    class Full(Spool):
        def __init__(self, name: str) -> None:
            super().__init__(name, memory=0)

        @staticmethod
        def _open_file() -> Any:
            return open("/dev/full", "r+b", buffering=0)  # noqa: PTH123

        def close(self) -> None:
            super().close()
            closed.append(self._file.closed)

    monkeypatch.setattr(prepare_module, "Spool", Full)
    with pytest.raises(SourceError, match=r"^records: the records cannot be written .* set TMPDIR"):
        prepare(ListSource([customer(1)]), CUSTOMERS, 1, "customerNo")
    assert closed == [True]


# ---- totals


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([None, "", "NOK", "nok", "EUR"]),
            st.sampled_from([None, 0, 1, 2, 3]),
            st.decimals(places=20, min_value=-(10**15), max_value=10**15),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_totals_are_the_exact_sums_by_currency(rows):
    """Whether the quick check or the model accepted a record, with amounts or without."""
    records, counts, sums = [], {}, {}
    for number, (currency, amounts, amount, by_model) in enumerate(rows):
        record: dict[str, Any] = document(number)
        if currency is not None:
            record["currency"] = currency
        if amounts is not None:
            given_names = ("exclVat", "vat", "inclVat")[:amounts]
            record["currencyAmounts"] = dict.fromkeys(given_names, f"{amount:f}" if by_model else amount)
            for name in given_names:
                key = ((currency or "").upper(), name)
                sums[key] = sums.get(key, Fraction(0)) + Fraction(amount)
        if by_model:
            record["newField"] = 1
        counts[(currency or "").upper()] = counts.get((currency or "").upper(), 0) + 1
        records.append(record)
    with prepare(ListSource(records), DOCUMENTS, 5, "documentNo") as prepared:
        totals = prepared.totals
    assert {currency: total.records for currency, total in totals.items()} == counts
    for currency, total in totals.items():
        for name, amount in total.amounts.items():
            assert Fraction(amount) == sums.get((currency, name), 0)


def test_totals_in_json_are_text_without_an_exponent():
    """A JSON number could become a float."""
    rows = [
        document(n, currency="NOK", currencyAmounts={"inclVat": Decimal(text)})
        for n, text in enumerate(["1.10", "1E3"])
    ]
    with prepare(ListSource(rows), DOCUMENTS, 5, "documentNo") as prepared:
        assert prepared.totals["NOK"].as_json() == {"records": 2, "exclVat": "0", "vat": "0", "inclVat": "1001.10"}


def test_totals_reject_an_amount_that_cannot_be_added_exactly():
    """A rounded total would be wrong."""
    row = document(1, currency="NOK", currencyAmounts={"inclVat": Decimal("1." + "1" * 100)})
    with pytest.raises(ArmConfigurationError, match="more digits than can be added exactly"):
        prepare(ListSource([row]), DOCUMENTS, 5, "documentNo")


def test_customers_have_no_totals():
    """Their model has no amounts by currency."""
    with prepare(ListSource([customer(1, limitAmount=5)]), CUSTOMERS, 5, "customerNo") as prepared:
        assert prepared.totals == {}


# ---- memory


class GeneratedSource(Source):
    """Source of *count* documents, which are generated while it is read."""

    def __init__(self, count: int) -> None:
        self.name = "generated"
        self.count = count

    def raw_rows(self) -> Iterator[tuple[int, bytes]]:
        for number in range(1, self.count + 1):
            yield (
                number,
                b'{"customerNo":"543210","documentNo":"INV-2026-%09d","ledgerNote":"%0200d"}' % (number, number),
            )


def test_memory_grows_only_with_the_digests_of_the_keys(monkeypatch):
    """Another ten thousand documents have 250 bytes each and take less than 120."""
    monkeypatch.setattr(
        "airflow_provider_arm.submission.planning.prepare.Spool", lambda name: Spool(name, memory=100_000)
    )

    def peak(count: int) -> int:
        tracemalloc.start()
        with prepare(GeneratedSource(count), DOCUMENTS, 100, "documentNo"):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)
    assert peak(20_000) - peak(10_000) < 10_000 * 120
