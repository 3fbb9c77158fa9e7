"""Command ``arm-journal``: show a submission's journal in files, and resolve chunks with an unknown outcome."""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmError
from airflow_provider_arm.submission.errors import JournalError
from airflow_provider_arm.submission.journal.entries import ChunkState, Resolution, Verdict
from airflow_provider_arm.submission.journal.file_entries import FileEntries
from airflow_provider_arm.submission.journal.file_journal import FileJournal, JournalWriter
from airflow_provider_arm.submission.journal.resolution import apply_resolution, is_unresolved, read_entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_arm.submission.journal.entries import ChunkEntry

_EPILOG = """\
FOLDER is the journal of one task instance: <journal_path>/<dag>/<run>/<task>/<map index, -1 if not mapped>.
After a resolution, clear the task: its next try follows the chunk (accepted) or sends it (absent). Resolve a chunk as
accepted only after ARM has finished the batch: without a batchUuid, records that are absent then count as refused.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :return: the exit code: 0, 1 for an error, 3 if ``show`` finds unresolved chunks.
    """
    options = _build_parser().parse_args(argv)
    try:
        return int(options.run(options))
    except ArmError as error:
        print(f"arm-journal: {error}", file=sys.stderr)
        return 1


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "arm-journal", description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    show = commands.add_parser("show", help="list the chunks; exits with 3 if a chunk is unresolved")
    show.add_argument("folder", metavar="FOLDER")
    show.add_argument("--all", action="store_true", help="also list chunks that are simply accepted")
    show.set_defaults(run=_show)
    resolve = commands.add_parser("resolve", help="write a manual resolution of an unresolved chunk")
    resolve.add_argument("folder", metavar="FOLDER")
    resolve.add_argument("--chunk-id", required=True, help="as `show` and the log of the failed task name it")
    resolve.add_argument("--verdict", required=True, choices=[str(verdict) for verdict in Verdict])
    resolve.add_argument("--why", required=True, help="the reason, for later readers of the journal")
    resolve.add_argument("--by", default=None, help="who resolves it (default: the user of this terminal)")
    resolve.add_argument("--batch-uuid", default=None, help="of an accepted chunk, if it is known")
    resolve.set_defaults(run=_resolve)
    return parser


def _journal_path(folder: str) -> Any:
    if "://" not in folder:
        return Path(folder)
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return ObjectStoragePath(folder)


def _show(options: argparse.Namespace) -> int:
    entries = FileEntries(_journal_path(options.folder))
    entries.refresh()
    plan = entries.read_plan()
    if plan is None:
        raise JournalError(f"there is no journal in {options.folder}")
    started = list(read_entries(entries))
    counts: dict[str, int] = {}
    for entry in started:
        counts[entry.state] = counts.get(entry.state, 0) + 1
        if options.all or entry.state is not ChunkState.ACCEPTED or entry.resolutions:
            print(_describe(entry))
    counts["not started"] = plan.chunks - len(started)
    print(f"{plan.chunks} chunks: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count))
    return 3 if any(is_unresolved(entry) for entry in started) else 0


def _describe(entry: ChunkEntry) -> str:
    parts = [f"chunk {entry.index + 1}: {entry.state}"]
    if entry.batch_uuid:
        parts.append(f"batch {entry.batch_uuid}")
    if is_unresolved(entry):
        parts.append(f"chunk_id {entry.chunk_id}")
    if entry.missing:
        parts.append(f"ARM does not have its records {', '.join(map(str, entry.missing))}")
    if entry.reason:
        parts.append(entry.reason)
    for resolution in entry.resolutions:
        when = datetime.fromtimestamp(resolution.at or 0, tz=UTC).isoformat(timespec="seconds")
        parts.append(
            f"chunk_id {resolution.chunk_id} resolved as {resolution.verdict} by {resolution.by} at {when}: "
            f"{resolution.why}"
        )
    return "; ".join(parts)


def _resolve(options: argparse.Namespace) -> int:
    path = _journal_path(options.folder)
    entries = FileEntries(path)
    entries.refresh()
    if entries.read_plan() is None:  # a typo in the folder's name must not create a new journal
        raise JournalError(f"there is no journal in {options.folder}")
    by = options.by or getpass.getuser()
    resolution = Resolution(
        options.chunk_id, Verdict(options.verdict), by, options.why, batch_uuid=options.batch_uuid, at=time.time()
    )
    journal = FileJournal(path, JournalWriter(f"arm-journal, by {by}", 1))
    try:
        entry = apply_resolution(journal, resolution)
    finally:
        journal.release()
    if entry is None:
        msg = f"no chunk of this journal has the chunk_id {options.chunk_id}: `arm-journal show` lists the chunks"
        raise JournalError(msg)
    print(_describe(entry))
    return 0
