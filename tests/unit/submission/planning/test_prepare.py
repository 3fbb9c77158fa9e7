from __future__ import annotations

import os
import stat
import tempfile
import tracemalloc
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

# ---- rows that do not fit

#: Lines of a file: sound, of no sense, no record, no JSON, and two that are one document.
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
    """Write a file of such lines."""
    return "".join(
        (LINES[kind] % number if "%" in LINES[kind] else LINES[kind]) + "\n" for number, kind in enumerate(kinds)
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(st.integers(0, len(LINES) - 1), max_size=30), size=st.integers(1, 5))
def test_what_is_left_out_and_what_is_sent_are_together_the_file(tmp_path, kinds, size):
    """For any mixture: the sound rows of ``validate_rows``, cut into chunks, are what is sent, row for row."""
    source = file_source(tmp_path / "a.jsonl", lines_of(kinds), "documents")
    judged = list(validate_rows(source, DOCUMENTS, "documentNo"))
    assert judged == list(validate_rows(source, DOCUMENTS, "documentNo"))
    assert [row.number for row, _ in judged] == [number for number, kind in enumerate(kinds, 1) if LINES[kind]]
    sound = [row for row, issues in judged if not issues]
    if not sound:
        with pytest.raises(SourceError):
            prepare(source, DOCUMENTS, size, "documentNo", skip_invalid=True)
        return
    with prepare(source, DOCUMENTS, size, "documentNo", skip_invalid=True) as prepared:
        chunks = list(prepared.chunks())
        assert prepared.invalid_count == len(judged) - len(sound)
        assert prepared.plan.records == len(sound)
    for rows, (plan, text) in zip(chunk_rows(sound, size), chunks, strict=True):
        assert (plan.first_row, plan.last_row, plan.records) == (rows[0].number, rows[-1].number, len(rows))
        assert text == money.encode([validate_with_model(DOCUMENTS, row.record) for row in rows])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(st.integers(0, len(LINES) - 1), min_size=1, max_size=40))
def test_by_default_one_wrong_row_stops_all_and_all_are_counted(tmp_path, kinds):
    """A line that is no JSON hides nothing below it, and no message shows a value."""
    source = file_source(tmp_path / "a.jsonl", lines_of(kinds), "documents")
    wrong = [(row.number, issues) for row, issues in validate_rows(source, DOCUMENTS, "documentNo") if issues]
    if not wrong:
        return
    with pytest.raises(SourceError, match=rf"^a.jsonl: {len(wrong)} rows do not fit and nothing was sent: ") as caught:
        prepare(source, DOCUMENTS, 2, "documentNo")
    places = [issue.field.partition(",")[0] for issue in caught.value.errors]
    assert list(dict.fromkeys(places)) == [f"row {number}" for number, _ in wrong[:MAX_LISTED_ROWS]]
    assert CANARY not in str(caught.value)


def test_a_row_that_is_no_record_keeps_its_text(tmp_path):
    """For the rejects file: nothing of it is lost, and submitted again it is still no record."""
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


def test_a_row_of_another_length_is_one_wrong_row(tmp_path):
    """In a .csv file too, the rows below it are read; its cells are kept as they would stand in the file."""
    source = file_source(tmp_path / "a.csv", 'customerNo;name\n1;A\n2\n3;"x;y";z\n4;B\n')
    with prepare(source, CUSTOMERS, 5, "customerNo", skip_invalid=True) as prepared:
        assert [text for _, text in prepared.chunks()] == [
            b'[{"customerNo":"1","name":"A"},{"customerNo":"4","name":"B"}]'
        ]
        assert [str(issue) for issue in prepared.issues] == [
            "row 2, column name: the row has 1 cells and the header 2",
            "row 3: the row has 3 cells and the header 2",
        ]
    texts = [row.record for row, issues in validate_rows(source, CUSTOMERS, "customerNo") if issues]
    assert texts == [{RAW_TEXT_REMARK: "2"}, {RAW_TEXT_REMARK: '3;"x;y";z'}]


def test_a_record_that_is_nested_too_deeply_is_one_wrong_row(tmp_path):
    """However deep: never another error than that of its row."""
    for depth in (100, 500, 900, 1100, 50_000):
        deep = f'{{"customerNo":"1","x":{"[" * depth}{"]" * depth}}}\n{{"customerNo":"2"}}'
        with prepare(
            file_source(tmp_path / "a.jsonl", deep), CUSTOMERS, 5, "customerNo", skip_invalid=True
        ) as prepared:
            assert prepared.plan.records + prepared.invalid_count == 2
            assert prepared.plan.records >= 1


# ---- the spool


@settings(max_examples=100, deadline=None)
@given(pieces=st.lists(st.binary(max_size=40), max_size=12), memory=st.integers(1, 200), data=st.data())
def test_what_is_kept_comes_back_in_any_order(pieces, memory, data):
    """Below the limit and beyond it, while more is kept, as often as asked."""
    with Spool("a", memory) as spool:
        for count, piece in enumerate(pieces, 1):
            spool.append(piece)
            at = data.draw(st.integers(0, count - 1))
            assert spool[at] == pieces[at]
        order = data.draw(st.permutations(range(len(pieces))))
        assert [spool[at] for at in order] == [pieces[at] for at in order]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks /proc which files are open")
def test_beyond_its_memory_the_records_lie_in_a_file_without_a_name(tmp_path, monkeypatch):
    """Nobody else can open it, and a process that dies leaves nothing of anybody behind."""

    def mine() -> list[str]:
        links = []
        for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208
            try:
                links.append((entry, os.readlink(f"/proc/self/fd/{entry}")))  # noqa: PTH115
            except OSError:
                continue
        return [entry for entry, link in links if link.startswith(str(tmp_path))]

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Spool("a", memory=10) as spool:
        spool.append(b"0123456789")
        assert mine() == []
        spool.append(CANARY.encode())
        [descriptor] = mine()
        assert list(tmp_path.iterdir()) == []
        assert stat.S_IMODE(os.fstat(int(descriptor)).st_mode) == 0o600
        assert spool[1] == CANARY.encode()
    assert mine() == []


def test_a_full_disk_is_said_so_and_nothing_is_kept(monkeypatch):
    """The message names the folder's variable; the file is closed."""
    closed = []

    class Full(Spool):
        def __init__(self, name: str) -> None:
            super().__init__(name, memory=0)
            self._file = open("/dev/full", "r+b", buffering=0)  # noqa: PTH123, SIM115

        def close(self) -> None:
            super().close()
            closed.append(self._file.closed)

    monkeypatch.setattr(prepare_module, "Spool", Full)
    with pytest.raises(SourceError, match=r"^records: its records cannot be kept .* set TMPDIR"):
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
def test_the_totals_are_the_exact_sums_of_every_currency(rows):
    """Whichever way a record was checked, with amounts or without: counted once, and no digit lost."""
    records, counts, sums = [], {}, {}
    for number, (currency, amounts, amount, slow) in enumerate(rows):
        record: dict[str, Any] = document(number)
        if currency is not None:
            record["currency"] = currency
        if amounts is not None:
            given_names = ("exclVat", "vat", "inclVat")[:amounts]
            record["currencyAmounts"] = {name: str(amount) if slow else amount for name in given_names}
            for name in given_names:
                key = ((currency or "").upper(), name)
                sums[key] = sums.get(key, Fraction(0)) + Fraction(amount)
        if slow:
            record["newField"] = 1
        counts[(currency or "").upper()] = counts.get((currency or "").upper(), 0) + 1
        records.append(record)
    with prepare(ListSource(records), DOCUMENTS, 5, "documentNo") as prepared:
        totals = prepared.totals
    assert {currency: total.records for currency, total in totals.items()} == counts
    for currency, total in totals.items():
        for name, amount in total.amounts.items():
            assert Fraction(amount) == sums.get((currency, name), 0)


def test_totals_are_given_as_text():
    """JSON and XCom would make a float of a number; there is no exponent, because a person reads it."""
    rows = [
        document(n, currency="NOK", currencyAmounts={"inclVat": Decimal(text)})
        for n, text in enumerate(["1.10", "1E3"])
    ]
    with prepare(ListSource(rows), DOCUMENTS, 5, "documentNo") as prepared:
        assert prepared.totals["NOK"].as_json() == {"records": 2, "exclVat": "0", "vat": "0", "inclVat": "1001.10"}


def test_totals_reject_an_amount_that_cannot_be_added_exactly():
    """A rounded total would not be the sum of the records."""
    row = document(1, currency="NOK", currencyAmounts={"inclVat": Decimal("1." + "1" * 100)})
    with pytest.raises(ArmConfigurationError, match="more digits than can be added exactly"):
        prepare(ListSource([row]), DOCUMENTS, 5, "documentNo")


def test_customers_have_no_totals():
    """There is nothing to add up."""
    with prepare(ListSource([customer(1, limitAmount=5)]), CUSTOMERS, 5, "customerNo") as prepared:
        assert prepared.totals == {}


# ---- memory


class Many(Source):
    """So many documents, made while they are read."""

    def __init__(self, count: int) -> None:
        self.name = "many"
        self.count = count

    def raw_rows(self) -> Iterator[tuple[int, bytes]]:
        for number in range(1, self.count + 1):
            yield (
                number,
                b'{"customerNo":"543210","documentNo":"INV-2026-%09d","ledgerNote":"%0200d"}' % (number, number),
            )


def test_memory_does_not_grow_with_the_records(monkeypatch):
    """Ten thousand documents more, of 250 bytes each, cost what their keys' digests do and no more."""
    monkeypatch.setattr(
        "airflow_provider_arm.submission.planning.prepare.Spool", lambda name: Spool(name, memory=100_000)
    )

    def peak(count: int) -> int:
        tracemalloc.start()
        with prepare(Many(count), DOCUMENTS, 100, "documentNo"):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)
    assert peak(20_000) - peak(10_000) < 10_000 * 120
