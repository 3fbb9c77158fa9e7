from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_arm.client import money
from airflow_provider_arm.export import ArmExportMismatchError, check_export, plan_windows
from airflow_provider_arm.export.fetch.plan_windows import read_window
from airflow_provider_arm.export.files.file_format import choose_shape
from airflow_provider_arm.export.manifest.merge import ArmMergeError, list_part_manifests, merge_exports
from airflow_provider_arm.export.pages.record_types import AR_ITEMS, DOCUMENTS, GL_ITEMS, RecordType, select
from airflow_provider_arm.export.plan import ExportPlan
from airflow_provider_arm.export.run import run_export
from airflow_provider_arm.sandbox.api import lists

if TYPE_CHECKING:
    from pathlib import Path

FIRST, LAST = "2024-01-01", "2026-12-31"
WHOLE = read_window({"start": FIRST, "end": LAST})


@pytest.fixture
def export(client, tmp_path):
    """Give a function that exports one window; it gives the manifest's path."""

    def run(
        name: str, window: Any = None, operation: str = "list_ar_items", kind: RecordType = AR_ITEMS, **more: Any
    ) -> Path:
        selection = select(kind, more.pop("columns", None), more.pop("mask", ()))
        path = tmp_path / name
        plan = ExportPlan(kind, path, choose_shape(name), selection, window=read_window(window), **more)
        run_export(plan, client.page_source(operation, page_size=50), lambda: dt.datetime.now(dt.UTC))
        return path.with_name(f"{path.name}.manifest.json")

    return run


@pytest.fixture
def parts(export):
    """Give a function that exports the whole in parts; it gives their manifests' paths."""

    def run(ending: str = "jsonl", count: int = 4, **more: Any) -> list[Path]:
        windows = plan_windows(FIRST, LAST, parts=count)
        return [export(f"{number}.{ending}", window, **more) for number, window in enumerate(windows)]

    return run


def said(path: Path) -> dict[str, Any]:
    """Read a manifest."""
    return money.decode(path.read_bytes())


def change(path: Path, **facts: Any) -> None:
    """Change what a manifest says."""
    path.write_bytes(money.encode({**said(path), **facts}))


def rewrite(manifest: Path, content: bytes, **facts: Any) -> None:
    """Change a file, and its manifest so that the checksum is true."""
    manifest.with_name(manifest.name.removesuffix(".manifest.json")).write_bytes(content)
    change(manifest, bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), **facts)


@pytest.mark.parametrize("ending", ["jsonl", "csv.gz", "parquet"])
def test_parts_add_up_to_what_one_export_says(export, parts, tmp_path, ending):
    """Rows, totals and dates to the last digit, in any order of the parts; and the merged manifest can be checked."""
    made = parts(ending)
    whole = said(export(f"whole.{ending}", {"start": FIRST, "end": LAST}))
    merged = merge_exports(made[::-1], tmp_path / "all", WHOLE)
    for fact in ("rows", "totals", "gl_totals", "dates", "key", "columns", "records", "format", "list"):
        assert merged[fact] == whole[fact]
    assert merged["rows"] == 120
    assert merged["window"] == f"voucherdate {FIRST} to {LAST}"
    assert [part["file"] for part in merged["parts"]] == [f"{number}.{ending}" for number in range(4)]
    assert merged["bytes"] == sum(said(path)["bytes"] for path in made)
    assert check_export(tmp_path / "all.manifest.json") == merged == said(tmp_path / "all.manifest.json")
    assert not (tmp_path / "all").exists()


def test_parts_that_were_split_themselves_are_parts(client, parts, tmp_path, monkeypatch):
    """By days where ARM would cut, and by value where a day is too much."""
    customers = [one.customer_no for page in client.list_customers().pages() for one in page.items]
    monkeypatch.setattr(lists, "MAXIMUM_COUNT", 7)
    split_by = (("customerno", tuple(customers)),)
    made = parts(split_by=split_by)
    assert len(said(made[0])["windows"]) > 1
    merged = merge_exports(made, tmp_path / "all", WHOLE)
    assert merged["rows"] == 120
    assert merged["parts"][0]["windows"] == said(made[0])["windows"]


def test_a_day_that_was_split_by_value_stands_there_once_for_each(parts, tmp_path):
    """Its windows repeat the day, and no other may."""
    made = parts(count=2)
    day = {"pages": 1, "rows": 0}
    one = {**day, "window": f"voucherdate {LAST} to {LAST}"}
    (window,) = said(made[1])["windows"]
    shorter = {**window, "window": window["window"].replace(LAST, "2026-12-30")}
    change(made[1], windows=[shorter, *({**one, "split_by": {"customerno": str(n)}} for n in range(2))])
    merge_exports(made, tmp_path / "all", WHOLE)
    change(made[1], windows=[shorter, one, one])
    with pytest.raises(ArmMergeError, match=r"1\.jsonl was asked for in windows that do not meet"):
        merge_exports(made, tmp_path / "all", WHOLE)


@pytest.mark.parametrize("missing", range(4))
def test_a_missing_part_is_told(parts, tmp_path, missing):
    """In the middle by its days, at an end where the whole is given."""
    made = parts()
    made.pop(missing)
    with pytest.raises(ArmMergeError, match=r"no part holds voucherdate|the parts cover voucherdate .* should cover"):
        merge_exports(made, tmp_path / "all", WHOLE)
    assert not list(tmp_path.glob("all*"))


def test_without_the_whole_the_ends_are_where_they_are(parts, tmp_path):
    """Nobody has said which days there should be."""
    assert merge_exports(parts()[1:], tmp_path / "all")["window"].endswith(LAST)


def test_a_doubled_part_is_told(parts, tmp_path):
    """The same one twice, or another that has some of its days: both are named."""
    made = parts()
    with pytest.raises(ArmMergeError, match=r"1\.jsonl and 1\.jsonl overlap: both hold voucherdate 2024-"):
        merge_exports([*made, made[1]], tmp_path / "all")


def test_a_copy_under_the_days_of_another_part_is_told(parts, tmp_path):
    """By the days of its records; and where those are not known, by their keys."""
    made = parts()
    windows = said(made[2])["windows"]
    for source, target in ((made[1], made[2]), (made[1].with_name("1.jsonl"), made[2].with_name("2.jsonl"))):
        shutil.copy(source, target)
    change(made[2], file="2.jsonl", windows=[{**windows[0], "rows": said(made[2])["rows"]}])
    with pytest.raises(ArmMergeError, match=r"2\.jsonl holds records from outside of voucherdate"):
        merge_exports(made, tmp_path / "all")


def test_a_record_that_is_in_two_parts_is_told(parts, tmp_path):
    """The list changed between their exports: both files are named, no key is."""
    made = parts(columns=["arItemId", "kid"])
    first, third = (made[number].with_name(f"{number}.jsonl").read_bytes() for number in (0, 2))
    rewrite(made[2], first.splitlines(keepends=True)[0] + b"".join(third.splitlines(keepends=True)[1:]))
    with pytest.raises(ArmMergeError, match=r"^0\.jsonl and 2\.jsonl hold the same arItemId: the list changed"):
        merge_exports(made, tmp_path / "all")


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_changed_file_is_told(parts, tmp_path, ending):
    """A byte more in one of them, and no manifest is written; later, check_export tells."""
    made = parts(ending)
    merge_exports(made, tmp_path / "all")
    data = made[3].with_name(f"3.{ending}")
    data.write_bytes(data.read_bytes() + b"\n")
    with pytest.raises(ArmMergeError, match=rf"3\.{ending} and its manifest differ in bytes, sha256"):
        merge_exports(made, tmp_path / "again")
    assert not list(tmp_path.glob("again*"))
    with pytest.raises(ArmExportMismatchError, match=rf"3\.{ending}: .*bytes, sha256"):
        check_export(tmp_path / "all.manifest.json")


@pytest.mark.parametrize("name", ["2.jsonl", "2.jsonl.manifest.json"])
def test_a_lost_file_is_told(parts, tmp_path, name):
    """The data or its manifest."""
    made = parts()
    (tmp_path / name).unlink()
    with pytest.raises(ArmMergeError, match=r"^2\.jsonl (is not there|has no manifest)"):
        merge_exports(made, tmp_path / "all")


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"columns": ["arItemId", "kid"]}, "columns"),
        ({"mask": ["kid"]}, "masked"),
        ({"filters": {"onlyopen": "true"}}, "filters"),
        ({"name": "b.csv"}, "format, columns"),
        ({"name": "b.jsonl.gz"}, "compression"),
        ({"operation": "list_gl_items", "kind": GL_ITEMS}, "list, records, key"),
        ({"by": "duedate"}, "the date that its window goes by"),
    ],
)
def test_parts_of_another_kind_are_told(export, tmp_path, other, says):
    """Their sum would mean nothing; the message names both and what differs."""
    first, second = plan_windows("2025-01-01", "2025-12-31", parts=2)
    second["by"] = other.pop("by", "voucherdate")
    made = [export("a.jsonl", first), export(other.pop("name", "b.jsonl"), second, **other)]
    with pytest.raises(ArmMergeError, match=rf"^b\S* differs from a\.jsonl in .*{says}"):
        merge_exports(made, tmp_path / "all")


def test_another_clients_part_is_told(parts, tmp_path):
    """Two ledgers are not one, whatever their days."""
    made = parts()
    change(made[1], list="clients/2219/aritems")
    with pytest.raises(ArmMergeError, match=r"1\.jsonl differs from 0\.jsonl in list"):
        merge_exports(made, tmp_path / "all")


def test_an_export_without_a_window_is_no_part(export, parts, tmp_path):
    """Nobody can say which days it has; nor is a merged export one, nor nothing at all."""
    with pytest.raises(ArmMergeError, match=r"a\.jsonl was not made by a window of days"):
        merge_exports([export("a.jsonl", None)], tmp_path / "all")
    made = parts()
    merge_exports(made, tmp_path / "all")
    with pytest.raises(ArmMergeError, match="all is merged itself"):
        merge_exports([tmp_path / "all.manifest.json"], tmp_path / "more")
    with pytest.raises(ArmMergeError, match="there is no part"):
        merge_exports([], tmp_path / "more")
    with pytest.raises(ArmMergeError, match=r"0\.jsonl is one of the parts"):
        merge_exports(made, tmp_path / "0.jsonl")
    change(made[0], windows=[])
    with pytest.raises(ArmMergeError, match=r"0\.jsonl was not made by a window of days"):
        merge_exports(made, tmp_path / "more")


@pytest.mark.parametrize(
    "facts",
    [
        {"totals": {"NOK": {"currencyAmount": "much"}}},
        {"totals": []},
        {"dates": {"dueDate": {}}},
        {"dates": {"voucherDate": {"first": "x", "last": "x"}}},
        {"rows": "many"},
    ],
    ids=str,
)
def test_a_manifest_that_no_export_wrote_is_told(parts, tmp_path, facts):
    """Before any file is read."""
    made = parts()
    change(made[0], **facts)
    with pytest.raises(ArmMergeError, match=r"^0\.jsonl"):
        merge_exports(made, tmp_path / "all")


def test_other_lists_are_merged_too(export, tmp_path):
    """GL items; and documents, of which nothing is added up. A part may be empty."""
    for name, kind, by in (("gl_items", GL_ITEMS, "voucherdate"), ("documents", DOCUMENTS, "documentdate")):
        windows = plan_windows("1990-01-01", "2030-12-31", by=by, parts=3)
        made = [export(f"{name}{n}.csv", one, f"list_{name}", kind) for n, one in enumerate(windows)]
        merged = merge_exports(made, tmp_path / "all")
        assert (merged["rows"] > 10, merged["parts"][0]["rows"]) == (True, 0)


def test_a_merged_folder_can_be_moved(parts, tmp_path):
    """Parts in the same folder or below are named from there, others by their whole address."""
    made = parts()
    (tmp_path / "month" / "parts").mkdir(parents=True)
    places = ["month/parts", "month/parts", "month", ""]
    moved = []
    for path, place in zip(made, places, strict=True):
        for name in (path.name, path.name.removesuffix(".manifest.json")):
            shutil.move(tmp_path / name, tmp_path / place / name)
        moved.append(tmp_path / place / path.name)
    merged = merge_exports(moved, tmp_path / "month" / "all")
    files = [part["file"] for part in merged["parts"]]
    assert files == ["parts/0.jsonl", "parts/1.jsonl", "2.jsonl", str(tmp_path / "3.jsonl")]
    shutil.move(tmp_path / "month", tmp_path / "archive")
    assert check_export(str(tmp_path / "archive" / "all.manifest.json")) == merged


def test_what_airflow_merged_can_be_checked_by_whoever_has_the_files(parts, tmp_path):
    """A local path reads file:// addresses, and says what to do where it cannot."""
    made = [ObjectStoragePath(f"file://{path}") for path in parts()]
    (tmp_path / "elsewhere").mkdir()
    merged = merge_exports(made, ObjectStoragePath(f"file://{tmp_path}/elsewhere/all"), WHOLE)
    assert merged["parts"][0]["file"] == f"file://{tmp_path}/0.jsonl"
    manifest = tmp_path / "elsewhere" / "all.manifest.json"
    assert check_export(ObjectStoragePath(f"file://{manifest}")) == check_export(manifest) == merged
    merged["parts"][0]["file"] = "s3://bucket/0.jsonl"
    change(manifest, parts=merged["parts"])
    with pytest.raises(ArmMergeError, match="give the manifest as an ObjectStoragePath"):
        check_export(manifest)


def test_parts_in_an_object_store_are_merged_there(parts, tmp_path):
    """In the same folder they are named from there, in another by their whole address."""
    attach("memory", fs=MemoryFileSystem())
    bucket = uuid4().hex
    made = []
    for number, path in enumerate(parts()):
        folder = f"memory://{bucket}/{'year' if number else 'old'}"
        for name in (path.name, path.name.removesuffix(".manifest.json")):
            with ObjectStoragePath(f"{folder}/{name}").open("wb") as file:
                file.write((tmp_path / name).read_bytes())
        made.append(ObjectStoragePath(f"{folder}/{path.name}"))
    merged = merge_exports(made, ObjectStoragePath(f"memory://{bucket}/year/all"), WHOLE)
    files = [part["file"] for part in merged["parts"]]
    assert files == [str(made[0]).removesuffix(".manifest.json"), "1.jsonl", "2.jsonl", "3.jsonl"]
    assert check_export(ObjectStoragePath(f"memory://{bucket}/year/all.manifest.json")) == merged


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"rows": 1}, "differ in rows"),
        ({"totals": {}}, "differ in totals"),
        ({"parts": []}, "there is no part"),
        ({"parts": ["a"]}, "cannot be read as a manifest"),
        ({"parts": [{}]}, "cannot be read as a manifest"),
        ({"parts": 1}, "cannot be read as a manifest"),
    ],
)
def test_a_merged_manifest_that_says_something_else_is_told(parts, tmp_path, facts, says):
    """Read again, the parts must add up to what it says."""
    merge_exports(parts(), tmp_path / "all")
    change(tmp_path / "all.manifest.json", **facts)
    with pytest.raises(ArmExportMismatchError, match=says):
        check_export(tmp_path / "all.manifest.json")
    with pytest.raises(ArmExportMismatchError, match=says):
        list_part_manifests(tmp_path / "all.manifest.json")


def test_a_part_that_was_exported_anew_is_told(export, parts, tmp_path):
    """It is whole by itself, and no longer what was merged."""
    made = parts()
    merge_exports(made, tmp_path / "all")
    days = said(made[0])["windows"][0]["window"].split(" ")
    export("0.jsonl", {"start": days[1], "end": days[3]}, filters={"onlyopen": "true"})
    check_export(made[0])
    with pytest.raises(ArmExportMismatchError, match="differs from 0"):
        check_export(tmp_path / "all.manifest.json")


def test_any_manifest_stands_for_its_parts(parts, tmp_path):
    """A plain one for itself; their totals are those of the whole."""
    made = parts()
    merged = merge_exports(made, tmp_path / "all")
    assert list_part_manifests(made[0]) == [made[0]]
    assert list_part_manifests(tmp_path / "all.manifest.json") == made
    balance = sum(Decimal(said(path)["totals"].get("NOK", {}).get("currencyBalance", "0")) for path in made)
    assert balance == Decimal(merged["totals"]["NOK"]["currencyBalance"])
