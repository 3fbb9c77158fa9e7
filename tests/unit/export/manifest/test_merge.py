"""Merged exports: the parts must be of one export, cover all days once, and have no key twice."""

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
from airflow_provider_arm.export.fetch.plan_windows import parse_window
from airflow_provider_arm.export.files.file_format import choose_file_format
from airflow_provider_arm.export.manifest.errors import ArmMergeError
from airflow_provider_arm.export.manifest.merge import list_part_manifests, merge_exports
from airflow_provider_arm.export.pages.field_selection import select_fields
from airflow_provider_arm.export.pages.record_types import AR_ITEMS, DOCUMENTS, GL_ITEMS, RecordType
from airflow_provider_arm.export.plan import ExportPlan
from airflow_provider_arm.export.run import run_export
from airflow_provider_arm.sandbox.api import lists

if TYPE_CHECKING:
    from pathlib import Path

FIRST, LAST = "2024-01-01", "2026-12-31"
WHOLE = parse_window({"start": FIRST, "end": LAST})


@pytest.fixture
def export(client, tmp_path):
    """Return a function that exports one window and returns the manifest's path."""

    def run(
        name: str,
        window: Any = None,
        operation: str = "list_ar_items",
        record_type: RecordType = AR_ITEMS,
        **options: Any,
    ) -> Path:
        selection = select_fields(record_type, options.pop("columns", None), options.pop("mask", ()))
        path = tmp_path / name
        file_format = choose_file_format(name, None, options.pop("csv_dialect", None))
        plan = ExportPlan(record_type, path, file_format, selection, window=parse_window(window), **options)
        run_export(plan, client.page_source(operation, page_size=50), lambda: dt.datetime.now(dt.UTC))
        return path.with_name(f"{path.name}.manifest.json")

    return run


@pytest.fixture
def export_parts(export):
    """Return a function that exports all days in parts and returns the paths of their manifests."""

    def run(extension: str = "jsonl", count: int = 4, **options: Any) -> list[Path]:
        windows = plan_windows(FIRST, LAST, parts=count)
        return [export(f"{number}.{extension}", window, **options) for number, window in enumerate(windows)]

    return run


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a manifest."""
    return money.decode(path.read_bytes())


def change_manifest(path: Path, **entries: Any) -> None:
    """Change entries of a manifest."""
    path.write_bytes(money.encode({**read_json(path), **entries}))


def replace_content(manifest: Path, content: bytes) -> None:
    """Replace the content of a file, and change size and checksum in its manifest to match."""
    manifest.with_name(manifest.name.removesuffix(".manifest.json")).write_bytes(content)
    change_manifest(manifest, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("extension", ["jsonl", "csv.gz", "parquet"])
def test_merged_manifest_equals_that_of_one_export(export, export_parts, tmp_path, extension):
    """Rows, exact totals and dates are equal, in any order of the parts, and the merged manifest can be verified."""
    parts = export_parts(extension)
    whole = read_json(export(f"whole.{extension}", {"start": FIRST, "end": LAST}))
    merged = merge_exports(parts[::-1], tmp_path / "all", WHOLE)
    for key in ("rows", "totals", "gl_totals", "dates", "key", "columns", "records", "format", "list"):
        assert merged[key] == whole[key]
    assert merged["rows"] == 120
    assert merged["window"] == f"voucherdate {FIRST} to {LAST}"
    assert [part["file"] for part in merged["parts"]] == [f"{number}.{extension}" for number in range(4)]
    assert merged["bytes"] == sum(read_json(path)["bytes"] for path in parts)
    assert check_export(tmp_path / "all.manifest.json") == merged == read_json(tmp_path / "all.manifest.json")
    assert not (tmp_path / "all").exists()


def test_merge_accepts_parts_that_were_split_themselves(client, export_parts, tmp_path, monkeypatch):
    """By days above the cap, and by value where a single day is above the cap."""
    customers = [customer.customer_no for page in client.list_customers().pages() for customer in page.items]
    monkeypatch.setattr(lists, "MAXIMUM_COUNT", 7)
    split_by = (("customerno", tuple(customers)),)
    parts = export_parts(split_by=split_by)
    assert len(read_json(parts[0])["windows"]) > 1
    merged = merge_exports(parts, tmp_path / "all", WHOLE)
    assert merged["rows"] == 120
    assert merged["parts"][0]["windows"] == read_json(parts[0])["windows"]


def test_merge_accepts_repeated_days_only_when_split_by_value(export_parts, tmp_path):
    """A day that was split by value has one window per value; any other repeated day is an overlap."""
    parts = export_parts(count=2)
    day = {"pages": 1, "rows": 0, "window": f"voucherdate {LAST} to {LAST}"}
    (window,) = read_json(parts[1])["windows"]
    shorter = {**window, "window": window["window"].replace(LAST, "2026-12-30")}
    change_manifest(parts[1], windows=[shorter, *({**day, "split_by": {"customerno": str(n)}} for n in range(2))])
    merge_exports(parts, tmp_path / "all", WHOLE)
    change_manifest(parts[1], windows=[shorter, day, day])
    with pytest.raises(ArmMergeError, match=r"1\.jsonl was exported in windows that leave a gap or overlap"):
        merge_exports(parts, tmp_path / "all", WHOLE)


@pytest.mark.parametrize("missing", range(4))
def test_merge_fails_when_a_part_is_missing(export_parts, tmp_path, missing):
    """A missing part leaves a gap; at an end it is detected by comparing with *window*."""
    parts = export_parts()
    parts.pop(missing)
    with pytest.raises(
        ArmMergeError, match=r"no part contains voucherdate|the parts cover voucherdate .*, but should cover"
    ):
        merge_exports(parts, tmp_path / "all", WHOLE)
    assert not list(tmp_path.glob("all*"))


def test_merge_without_a_window_accepts_any_first_and_last_day(export_parts, tmp_path):
    """The expected days are unknown, so a missing first part is not detected."""
    assert merge_exports(export_parts()[1:], tmp_path / "all")["window"].endswith(LAST)


def test_merge_fails_when_parts_overlap(export_parts, tmp_path):
    """The message names both parts, here the same one twice."""
    parts = export_parts()
    with pytest.raises(ArmMergeError, match=r"1\.jsonl and 1\.jsonl overlap: both contain voucherdate 2024-"):
        merge_exports([*parts, parts[1]], tmp_path / "all")


def test_merge_fails_when_records_are_outside_the_days_of_their_part(export_parts, tmp_path):
    """A copy of another part, with the windows of the part that it replaces."""
    parts = export_parts()
    windows = read_json(parts[2])["windows"]
    for source, target in ((parts[1], parts[2]), (parts[1].with_name("1.jsonl"), parts[2].with_name("2.jsonl"))):
        shutil.copy(source, target)
    change_manifest(parts[2], file="2.jsonl", windows=[{**windows[0], "rows": read_json(parts[2])["rows"]}])
    with pytest.raises(ArmMergeError, match=r"2\.jsonl contains records outside voucherdate"):
        merge_exports(parts, tmp_path / "all")


def test_merge_fails_when_a_key_is_in_two_parts(export_parts, tmp_path):
    """The list changed between their exports. The message names both files but not the key."""
    parts = export_parts(columns=["arItemId", "kid"])
    first, third = (parts[number].with_name(f"{number}.jsonl").read_bytes() for number in (0, 2))
    replace_content(parts[2], first.splitlines(keepends=True)[0] + b"".join(third.splitlines(keepends=True)[1:]))
    with pytest.raises(ArmMergeError, match=r"^0\.jsonl and 2\.jsonl contain the same arItemId: the list changed"):
        merge_exports(parts, tmp_path / "all")


@pytest.mark.parametrize("extension", ["jsonl", "parquet"])
def test_merge_and_check_export_fail_when_a_file_was_changed(export_parts, tmp_path, extension):
    """With one more byte in a file no manifest is written, and a manifest that was written before does not match."""
    parts = export_parts(extension)
    merge_exports(parts, tmp_path / "all")
    data = parts[3].with_name(f"3.{extension}")
    data.write_bytes(data.read_bytes() + b"\n")
    with pytest.raises(ArmMergeError, match=rf"3\.{extension} and its manifest differ in bytes, sha256"):
        merge_exports(parts, tmp_path / "again")
    assert not list(tmp_path.glob("again*"))
    with pytest.raises(ArmExportMismatchError, match=rf"3\.{extension}: .*bytes, sha256"):
        check_export(tmp_path / "all.manifest.json")


@pytest.mark.parametrize("name", ["2.jsonl", "2.jsonl.manifest.json"])
def test_merge_fails_when_a_file_is_missing(export_parts, tmp_path, name):
    """The data or its manifest."""
    parts = export_parts()
    (tmp_path / name).unlink()
    with pytest.raises(ArmMergeError, match=r"^2\.jsonl (is missing|has no manifest)"):
        merge_exports(parts, tmp_path / "all")


@pytest.mark.parametrize(
    ("options", "different"),
    [
        ({"columns": ["arItemId", "kid"]}, "columns"),
        ({"mask": ["kid"]}, "masked"),
        ({"filters": {"onlyopen": "true"}}, "filters"),
        ({"name": "b.csv"}, "format, columns"),
        ({"name": "b.jsonl.gz"}, "compression"),
        ({"operation": "list_gl_items", "record_type": GL_ITEMS}, "list, records, key"),
        ({"by": "duedate"}, "the date field of the window"),
    ],
)
def test_merge_fails_when_parts_are_of_different_exports(export, tmp_path, options, different):
    """Their sums would mean nothing. The message names both parts and the differing keys."""
    first, second = plan_windows("2025-01-01", "2025-12-31", parts=2)
    second["by"] = options.pop("by", "voucherdate")
    parts = [export("a.jsonl", first), export(options.pop("name", "b.jsonl"), second, **options)]
    with pytest.raises(ArmMergeError, match=rf"^b\S* differs from a\.jsonl in .*{different}"):
        merge_exports(parts, tmp_path / "all")


def test_merge_fails_when_parts_are_of_different_clients(export_parts, tmp_path):
    """The ledgers of two clients are never merged."""
    parts = export_parts()
    change_manifest(parts[1], list="clients/2219/aritems")
    with pytest.raises(ArmMergeError, match=r"1\.jsonl differs from 0\.jsonl in list"):
        merge_exports(parts, tmp_path / "all")


def test_merge_fails_when_something_is_not_a_part(export, export_parts, tmp_path):
    """An export without a window, a merged export, no export at all, and the path of a part as the target."""
    with pytest.raises(ArmMergeError, match=r"a\.jsonl was exported without a window of days"):
        merge_exports([export("a.jsonl", None)], tmp_path / "all")
    parts = export_parts()
    merge_exports(parts, tmp_path / "all")
    with pytest.raises(ArmMergeError, match="all is a merged export itself"):
        merge_exports([tmp_path / "all.manifest.json"], tmp_path / "more")
    with pytest.raises(ArmMergeError, match="there are no parts"):
        merge_exports([], tmp_path / "more")
    with pytest.raises(ArmMergeError, match=r"0\.jsonl is one of the parts"):
        merge_exports(parts, tmp_path / "0.jsonl")
    change_manifest(parts[0], windows=[])
    with pytest.raises(ArmMergeError, match=r"0\.jsonl was exported without a window of days"):
        merge_exports(parts, tmp_path / "more")


@pytest.mark.parametrize(
    "entries",
    [
        {"totals": {"NOK": {"currencyAmount": "much"}}},
        {"totals": []},
        {"dates": {"dueDate": {}}},
        {"dates": {"voucherDate": {"first": "x", "last": "x"}}},
        {"rows": "many"},
    ],
    ids=str,
)
def test_merge_fails_when_a_manifest_has_invalid_values(export_parts, tmp_path, entries):
    """The error is found before any file is read."""
    parts = export_parts()
    change_manifest(parts[0], **entries)
    with pytest.raises(ArmMergeError, match=r"^0\.jsonl"):
        merge_exports(parts, tmp_path / "all")


def test_merge_accepts_other_lists_and_empty_parts(export, tmp_path):
    """GL items, and documents, which have no totals."""
    for name, record_type, by in (("gl_items", GL_ITEMS, "voucherdate"), ("documents", DOCUMENTS, "documentdate")):
        windows = plan_windows("1990-01-01", "2030-12-31", by=by, parts=3)
        parts = [export(f"{name}{n}.csv", window, f"list_{name}", record_type) for n, window in enumerate(windows)]
        merged = merge_exports(parts, tmp_path / "all")
        assert (merged["rows"] > 10, merged["parts"][0]["rows"]) == (True, 0)


def test_merged_folder_can_be_moved(export_parts, tmp_path):
    """Parts in or below the folder of the merged manifest have relative addresses, others absolute ones."""
    parts = export_parts()
    (tmp_path / "month" / "parts").mkdir(parents=True)
    folders = ["month/parts", "month/parts", "month", ""]
    moved = []
    for path, folder in zip(parts, folders, strict=True):
        for name in (path.name, path.name.removesuffix(".manifest.json")):
            shutil.move(tmp_path / name, tmp_path / folder / name)
        moved.append(tmp_path / folder / path.name)
    merged = merge_exports(moved, tmp_path / "month" / "all")
    files = [part["file"] for part in merged["parts"]]
    assert files == ["parts/0.jsonl", "parts/1.jsonl", "2.jsonl", str(tmp_path / "3.jsonl")]
    shutil.move(tmp_path / "month", tmp_path / "archive")
    assert check_export(str(tmp_path / "archive" / "all.manifest.json")) == merged


def test_merged_manifest_of_object_storage_paths_can_be_verified_locally(export_parts, tmp_path):
    """A local path resolves file:// addresses; for other addresses the message names the alternative."""
    parts = [ObjectStoragePath(f"file://{path}") for path in export_parts()]
    (tmp_path / "elsewhere").mkdir()
    merged = merge_exports(parts, ObjectStoragePath(f"file://{tmp_path}/elsewhere/all"), WHOLE)
    assert merged["parts"][0]["file"] == f"file://{tmp_path}/0.jsonl"
    manifest = tmp_path / "elsewhere" / "all.manifest.json"
    assert check_export(ObjectStoragePath(f"file://{manifest}")) == check_export(manifest) == merged
    merged["parts"][0]["file"] = "s3://bucket/0.jsonl"
    change_manifest(manifest, parts=merged["parts"])
    with pytest.raises(ArmMergeError, match="pass the manifest as an ObjectStoragePath"):
        check_export(manifest)


def test_merge_works_in_an_object_store(export_parts, tmp_path):
    """A part in the same folder has a relative address, a part in another folder an absolute one."""
    attach("memory", fs=MemoryFileSystem())
    bucket = uuid4().hex
    parts = []
    for number, path in enumerate(export_parts()):
        folder = f"memory://{bucket}/{'year' if number else 'old'}"
        for name in (path.name, path.name.removesuffix(".manifest.json")):
            with ObjectStoragePath(f"{folder}/{name}").open("wb") as file:
                file.write((tmp_path / name).read_bytes())
        parts.append(ObjectStoragePath(f"{folder}/{path.name}"))
    merged = merge_exports(parts, ObjectStoragePath(f"memory://{bucket}/year/all"), WHOLE)
    files = [part["file"] for part in merged["parts"]]
    assert files == [str(parts[0]).removesuffix(".manifest.json"), "1.jsonl", "2.jsonl", "3.jsonl"]
    assert check_export(ObjectStoragePath(f"memory://{bucket}/year/all.manifest.json")) == merged


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"rows": 1}, "differ in rows"),
        ({"totals": {}}, "differ in totals"),
        ({"parts": []}, "there are no parts"),
        ({"parts": ["a"]}, "cannot be read as a manifest"),
        ({"parts": [{}]}, "cannot be read as a manifest"),
        ({"parts": 1}, "cannot be read as a manifest"),
    ],
)
def test_changed_merged_manifest_raises(export_parts, tmp_path, entries, message):
    """The sums of the parts must equal its values."""
    merge_exports(export_parts(), tmp_path / "all")
    change_manifest(tmp_path / "all.manifest.json", **entries)
    with pytest.raises(ArmExportMismatchError, match=message):
        check_export(tmp_path / "all.manifest.json")
    with pytest.raises(ArmExportMismatchError, match=message):
        list_part_manifests(tmp_path / "all.manifest.json")


def test_part_that_was_exported_again_does_not_match_the_merged_manifest(export, export_parts, tmp_path):
    """It is complete by itself, but is not the part that was merged."""
    parts = export_parts()
    merge_exports(parts, tmp_path / "all")
    words = read_json(parts[0])["windows"][0]["window"].split(" ")
    export("0.jsonl", {"start": words[1], "end": words[3]}, filters={"onlyopen": "true"})
    check_export(parts[0])
    with pytest.raises(ArmExportMismatchError, match="differs from 0"):
        check_export(tmp_path / "all.manifest.json")


def test_list_part_manifests_expands_merged_manifests_only(export_parts, tmp_path):
    """The totals of the parts equal the merged totals."""
    parts = export_parts()
    merged = merge_exports(parts, tmp_path / "all")
    assert list_part_manifests(parts[0]) == [parts[0]]
    assert list_part_manifests(tmp_path / "all.manifest.json") == parts
    balance = sum(Decimal(read_json(path)["totals"].get("NOK", {}).get("currencyBalance", "0")) for path in parts)
    assert balance == Decimal(merged["totals"]["NOK"]["currencyBalance"])


def test_parts_for_excel_are_merged_and_verified(export_parts, export, tmp_path):
    """Parts in two dialects are not one export."""
    parts = export_parts("csv", csv_dialect="excel")
    merged = merge_exports(parts, tmp_path / "all.csv", WHOLE)
    assert merged["totals"] == read_json(export("one.csv", {"start": FIRST, "end": LAST}))["totals"]
    assert check_export(tmp_path / "all.csv.manifest.json")["csv_dialect"] == "excel"
    windows = plan_windows(FIRST, LAST, parts=4)
    mixed = [export("plain.csv", windows[0]), *parts[1:]]
    with pytest.raises(ArmMergeError, match="csv_dialect"):
        merge_exports(mixed, tmp_path / "all.csv", WHOLE)
