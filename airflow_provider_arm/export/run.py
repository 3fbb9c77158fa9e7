"""One export: every page of every window, checked, into one file with a manifest that proves it; or it raises."""

from __future__ import annotations

import hashlib
import logging
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_arm import __version__
from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmCapReachedError
from airflow_provider_arm.export.records import RecordKind, Tally
from airflow_provider_arm.export.writers import WRITERS
from airflow_provider_arm.files import WritablePath, whole_file

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_arm.client.paging import Cursor, Page
    from airflow_provider_arm.export.windows import Days

log = logging.getLogger(__name__)

#: Pages between two lines in the log.
PAGES_PER_LOG_LINE = 50
MANIFEST_SUFFIX = ".manifest.json"


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What to export, and whereto."""

    kind: RecordKind
    path: WritablePath
    format: str
    columns: tuple[str, ...]
    filters: Mapping[str, Any]
    window: Days | None


@dataclass(slots=True)
class _Progress:
    tally: Tally
    pages: int = 0
    windows: list[dict[str, Any]] = field(default_factory=list)


class _HashedFile:
    """Passes bytes on to a file and keeps their checksum and size."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size += len(data)
        self._file.write(data)
        return len(data)

    def writelines(self, lines: Iterator[bytes]) -> None:
        self.write(b"".join(lines))

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def run_export(
    plan: ExportPlan,
    fetch: Callable[[Mapping[str, Any]], Cursor[Any]],
    base_url: str,
    now: Callable[[], dt.datetime],
) -> dict[str, Any]:
    """Export; gives the manifest. Neither file appears unless the export is whole, and the manifest comes last.

    :param fetch: starts a list with these filters.
    :raises ArmIncompleteListError: the list did not come whole.
    :raises ArmCapReachedError: more records match than ARM gives and there is no window to split, or it is one day.
    """
    started = now()
    progress = _Progress(Tally(plan.kind))
    with ExitStack() as stack:
        # Entered last, left first: the data has its name before the manifest has.
        manifest_file = stack.enter_context(whole_file(manifest_path(plan.path)))
        data_file = stack.enter_context(whole_file(plan.path))
        hashed = _HashedFile(data_file)
        writer = WRITERS[plan.format](hashed, plan.columns)  # type: ignore[arg-type]
        for page in _pages(plan, fetch, progress):
            for text in page.texts:
                progress.tally.take(text)
            writer.write(page.texts)
            progress.pages += 1
            if progress.pages % PAGES_PER_LOG_LINE == 0:
                log.info("%d pages, %d rows", progress.pages, progress.tally.rows)
        writer.finish()
        manifest = _manifest(plan, progress, hashed, base_url, started=started, finished=now())
        manifest_file.write(money.encode(manifest) + b"\n")
    log.info("%d %s on %d pages, complete", progress.tally.rows, plan.kind.name, progress.pages)
    return manifest


def manifest_path(path: WritablePath) -> WritablePath:
    """Give the manifest's place beside the data."""
    return path.with_name(path.name + MANIFEST_SUFFIX)


def _pages(
    plan: ExportPlan, fetch: Callable[[Mapping[str, Any]], Cursor[Any]], progress: _Progress
) -> Iterator[Page[Any]]:
    """Walk the windows in order of their days, each split until ARM gives all of it."""
    todo: list[Days | None] = [plan.window]
    while todo:
        days = todo.pop()
        before, rows = progress.pages, progress.tally.rows
        try:
            # The cap shows on page 1, before any row of the window is taken.
            yield from fetch({**plan.filters, **(days.filters if days else {})}).pages()
        except ArmCapReachedError as error:
            halves = days.halves() if days else None
            if halves is None:
                raise _too_much(error, days) from None
            log.info("%s holds more than ARM gives for one query; split", days)
            todo += reversed(halves)
            continue
        progress.windows.append(
            {
                "window": str(days) if days else None,
                "pages": progress.pages - before,
                "rows": progress.tally.rows - rows,
            }
        )


def _too_much(error: ArmCapReachedError, days: Days | None) -> ArmCapReachedError:
    way_out = (
        f"one day cannot be split ({days}): add a filter" if days else "give the operator a window=DateWindow(...)"
    )
    return ArmCapReachedError(f"{error}; {way_out}", operation=error.operation)


def _manifest(
    plan: ExportPlan,
    progress: _Progress,
    file: _HashedFile,
    base_url: str,
    *,
    started: dt.datetime,
    finished: dt.datetime,
) -> dict[str, Any]:
    return {
        "file": plan.path.name,
        "format": plan.format,
        "rows": progress.tally.rows,
        "pages": progress.pages,
        "totals": progress.tally.totals_text(),
        "sha256": file.sha256,
        "bytes": file.size,
        "columns": list(plan.columns) if plan.format != "jsonl" else None,
        "filters": dict(plan.filters),
        "windows": progress.windows,
        "api": base_url,
        "package": f"airflow-provider-arm {__version__}",
        "started": started.isoformat(timespec="milliseconds"),
        "finished": finished.isoformat(timespec="milliseconds"),
    }
