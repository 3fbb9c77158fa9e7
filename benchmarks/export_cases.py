"""One export per process: ours, alternatives, or a baseline. Prints rate and memory."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import resource
import sys
import tempfile
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE_SIZE = 1000


def address(base: str, page: int) -> str:
    """Return the URL of a page."""
    return f"{base}/clients/2218/aritems?query=q&pageno={page}"


def baseline(base: str, pages: int, _: Path) -> None:
    """Read and discard every page, one after the other."""
    session = requests.Session()
    for page in range(1, pages + 1):
        session.get(address(base, page), timeout=30).content  # noqa: B018 - the access reads the body


def baseline8(base: str, pages: int, _: Path) -> None:
    """Read and discard every page over eight connections."""

    def work(first: int) -> None:
        session = requests.Session()
        session.trust_env = False
        for page in range(first, pages + 1, 8):
            session.get(address(base, page), timeout=30, stream=True).raw.read(decode_content=True)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _records(base: str, pages: int, **decode: Any) -> Iterator[list[dict[str, object]]]:
    session = requests.Session()
    for page in range(1, pages + 1):
        response = session.get(address(base, page), timeout=30)
        response.raise_for_status()
        yield response.json(**decode)["arItems"]


def hand_jsonl(base: str, pages: int, path: Path) -> None:
    """Export as a PythonOperator with requests and json would, with amounts as floats."""
    with path.open("w", encoding="utf-8") as file:
        for records in _records(base, pages):
            file.writelines(json.dumps(record) + "\n" for record in records)


def hand_csv(base: str, pages: int, path: Path) -> None:
    """Export the same to CSV, with amounts as Decimal."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = None
        for records in _records(base, pages, parse_float=Decimal):
            if writer is None:
                writer = csv.DictWriter(file, list(records[0]))
                writer.writeheader()
            writer.writerows(records)


def hand_parquet(base: str, pages: int, path: Path) -> None:
    """Export the same to Parquet, with amounts as Decimal and one row group per page."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None
    schema = None
    for records in _records(base, pages, parse_float=Decimal):
        for record in records:
            for name in ("currencyAmount", "currencyBalance", "glAmount", "glBalance"):
                record[name] = Decimal(record[name])  # type: ignore[arg-type]
        if schema is None:
            found = pa.Table.from_pylist(records).schema
            money = pa.decimal128(19, 4)
            schema = pa.schema([f.with_type(money) if pa.types.is_decimal(f.type) else f for f in found])
            writer = pq.ParquetWriter(path, schema)
        writer.write_table(pa.Table.from_pylist(records, schema=schema))
    writer.close()


def http_operator(base: str, pages: int, path: Path) -> None:
    """Export to JSON lines by Airflow's HttpOperator and its pagination."""
    from airflow.providers.http.operators.http import HttpOperator

    os.environ["AIRFLOW_CONN_BENCH"] = base.removesuffix("/arm/v1")

    def next_page(response: requests.Response) -> dict[str, object] | None:
        page = response.json()["summary"]["pageNo"]
        return {"data": {"query": "q", "pageno": page + 1}} if page < pages else None

    def write(responses: list[requests.Response]) -> None:
        with path.open("w", encoding="utf-8") as file:
            for response in responses:
                file.writelines(json.dumps(record) + "\n" for record in response.json()["arItems"])

    HttpOperator(
        task_id="bench",
        http_conn_id="BENCH",
        method="GET",
        endpoint="arm/v1/clients/2218/aritems",
        data={"query": "q", "pageno": 1},
        pagination_function=next_page,
        response_filter=write,
    ).execute({})


def dlt_jsonl(base: str, pages: int, path: Path) -> None:
    """Export to JSON lines by a dlt pipeline."""
    import dlt

    @dlt.resource(name="items", max_table_nesting=0)  # type: ignore[untyped-decorator, unused-ignore]  # installed by the group bench only
    def items() -> Iterator[list[dict[str, object]]]:
        yield from _records(base, pages, parse_float=Decimal)

    target = dlt.destinations.filesystem(path.parent.as_uri())
    pipeline = dlt.pipeline("bench", destination=target, dataset_name="x", pipelines_dir=str(path.parent / "p"))
    pipeline.run(items(), loader_file_format="jsonl")


def ours(base: str, pages: int, path: Path, workers: int, *, validate_all_fields: bool = False) -> None:
    """Export by this package, which is imported before the clock starts."""
    from airflow_provider_arm.client import ArmClient, StaticToken
    from airflow_provider_arm.export.files.file_format import choose_file_format
    from airflow_provider_arm.export.pages.record_types import AR_ITEMS
    from airflow_provider_arm.export.plan import ExportPlan
    from airflow_provider_arm.export.run import run_export

    plan = ExportPlan(
        AR_ITEMS, path, choose_file_format(path.name), workers=workers, validate_all_fields=validate_all_fields
    )
    with ArmClient(base, StaticToken("t"), client_no=2218) as client:
        manifest = run_export(plan, client.page_source("list_ar_items"), lambda: dt.datetime.now(dt.UTC))
    if manifest["pages"] != pages:
        sys.exit("the export is incomplete")


def import_all(case: str) -> None:
    """Import the modules of a case, so that time and memory do not include them."""
    if case.startswith("ours"):
        import airflow_provider_arm.client.arm_client
        import airflow_provider_arm.export.run
    arrow = case.endswith((":csv", ":parquet"))
    if arrow or case == "hand_parquet":
        import pyarrow.parquet  # noqa: F401
    if arrow:
        import airflow_provider_arm.export.pages.arrow  # noqa: F401
    if case == "http_operator":
        from airflow.providers.http.operators.http import HttpOperator  # noqa: F401
    if case == "dlt_jsonl":
        os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # a benchmark sends nothing to other machines
        import dlt  # noqa: F401


def main() -> None:
    """Run ``CASE PORT PAGES WORKERS``. The exit code is 3 if a package is not installed."""
    case, port, pages, workers = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    base = f"http://127.0.0.1:{port}/arm/v1"
    try:
        import_all(case)
    except ImportError:
        sys.exit(3)
    before = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        if case.startswith("ours"):
            _, check, ending = case.split(":")
            ours(base, pages, Path(folder) / f"a.{ending}", workers, validate_all_fields=check == "every")
        else:
            globals()[case](base, pages, Path(folder) / "a")
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"rows_per_second": pages * PAGE_SIZE / seconds, "mib": (peak - before) / 2**20}))


if __name__ == "__main__":
    main()
