"""One export in a process of its own: ours, what one would write by hand, and the floors. Prints seconds and memory."""

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
    """One page of the list."""
    return f"{base}/clients/2218/aritems?query=q&pageno={page}"


def floor(base: str, pages: int, _: Path) -> None:
    """Throw every page away, one after the other."""
    session = requests.Session()
    for page in range(1, pages + 1):
        session.get(address(base, page), timeout=30).content  # noqa: B018 - reading it takes the page


def floor8(base: str, pages: int, _: Path) -> None:
    """Throw every page away, over eight connections."""

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
        answer = session.get(address(base, page), timeout=30)
        answer.raise_for_status()
        yield answer.json(**decode)["arItems"]


def hand_jsonl(base: str, pages: int, path: Path) -> None:
    """What a PythonOperator does: requests and json, floats and all."""
    with path.open("w", encoding="utf-8") as file:
        for records in _records(base, pages):
            file.writelines(json.dumps(record) + "\n" for record in records)


def hand_csv(base: str, pages: int, path: Path) -> None:
    """The same to CSV, amounts as Decimal."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = None
        for records in _records(base, pages, parse_float=Decimal):
            if writer is None:
                writer = csv.DictWriter(file, list(records[0]))
                writer.writeheader()
            writer.writerows(records)


def hand_parquet(base: str, pages: int, path: Path) -> None:
    """The same to Parquet, amounts as Decimal, a row group for each page."""
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
    """Airflow's HttpOperator with its pagination, to JSON lines."""
    from airflow.providers.http.operators.http import HttpOperator

    os.environ["AIRFLOW_CONN_BENCH"] = base.removesuffix("/arm/v1")

    def following(response: requests.Response) -> dict[str, object] | None:
        page = response.json()["summary"]["pageNo"]
        return {"data": {"query": "q", "pageno": page + 1}} if page < pages else None

    def write(answers: list[requests.Response]) -> None:
        with path.open("w", encoding="utf-8") as file:
            for answer in answers:
                file.writelines(json.dumps(record) + "\n" for record in answer.json()["arItems"])

    HttpOperator(
        task_id="bench",
        http_conn_id="BENCH",
        method="GET",
        endpoint="arm/v1/clients/2218/aritems",
        data={"query": "q", "pageno": 1},
        pagination_function=following,
        response_filter=write,
    ).execute({})


def dlt_jsonl(base: str, pages: int, path: Path) -> None:
    """A dlt pipeline to JSON lines on disk."""
    import dlt

    @dlt.resource(name="items", max_table_nesting=0)  # type: ignore[untyped-decorator, unused-ignore]  # only the group bench has dlt
    def items() -> Iterator[list[dict[str, object]]]:
        yield from _records(base, pages, parse_float=Decimal)

    target = dlt.destinations.filesystem(path.parent.as_uri())
    pipeline = dlt.pipeline("bench", destination=target, dataset_name="x", pipelines_dir=str(path.parent / "p"))
    pipeline.run(items(), loader_file_format="jsonl")


def ours(base: str, pages: int, path: Path, workers: int, *, validate_all_fields: bool = False) -> None:
    """This package; the program is imported before the clock starts."""
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
        sys.exit("the export is not whole")


def import_all(case: str) -> None:
    """Import what the case needs, so that neither clock nor memory counts it."""
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
        os.environ["RUNTIME__DLTHUB_TELEMETRY"] = (
            "false"  # it would call home, and a benchmark talks to this machine only
        )
        import dlt  # noqa: F401


def main() -> None:
    """Run ``CASE PORT PAGES WORKERS``; exit code 3 where it needs what is not installed."""
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
