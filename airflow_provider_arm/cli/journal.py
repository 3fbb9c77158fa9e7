"""The command ``arm-journal``: see what a submission's journal in files says, and release what nobody knows."""

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
After a release, clear the task: its next try follows the chunk (accepted) or sends it (absent). Say accepted once ARM
has done with the batch: without its batchUuid, what is absent then counts as refused.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit code: 0, 1 for an error, 3 where ``show`` finds open chunks."""
    options = _parser().parse_args(argv)
    try:
        return int(options.run(options))
    except ArmError as error:
        print(f"arm-journal: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "arm-journal",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    show = commands.add_parser("show", help="list the chunks; exits with 3 if one is open")
    show.add_argument("folder", metavar="FOLDER")
    show.add_argument("--all", action="store_true", help="also those that are plainly with ARM")
    show.set_defaults(run=_show)
    word = commands.add_parser("resolve", help="note what somebody has found out about an open chunk")
    word.add_argument("folder", metavar="FOLDER")
    word.add_argument("--chunk-id", required=True, help="as `show` and the failed task's log name it")
    word.add_argument("--verdict", required=True, choices=[str(verdict) for verdict in Verdict])
    word.add_argument("--why", required=True, help="on what ground, for whoever asks later")
    word.add_argument("--by", default=None, help="who says so (default: the user of this terminal)")
    word.add_argument("--batch-uuid", default=None, help="of an accepted chunk, where it is known")
    word.set_defaults(run=_resolve)
    return parser


def _path(folder: str) -> Any:
    if "://" not in folder:
        return Path(folder)
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return ObjectStoragePath(folder)


def _show(options: argparse.Namespace) -> int:
    lines = FileEntries(_path(options.folder))
    lines.refresh()
    plan = lines.read_plan()
    if plan is None:
        msg = f"there is no journal in {options.folder}"
        raise JournalError(msg)
    known = list(read_entries(lines))
    counts: dict[str, int] = {}
    for entry in known:
        counts[entry.state] = counts.get(entry.state, 0) + 1
        if options.all or entry.state is not ChunkState.ACCEPTED or entry.resolutions:
            print(_describe(entry))
    counts["not begun"] = plan.chunks - len(known)
    print(f"{plan.chunks} chunks: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count))
    return 3 if any(is_unresolved(entry) for entry in known) else 0


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
    for word in entry.resolutions:
        when = datetime.fromtimestamp(word.at or 0, tz=UTC).isoformat(timespec="seconds")
        parts.append(f"chunk_id {word.chunk_id} resolved as {word.verdict} by {word.by} at {when}: {word.why}")
    return "; ".join(parts)


def _resolve(options: argparse.Namespace) -> int:
    path = _path(options.folder)
    lines = FileEntries(path)
    lines.refresh()
    if lines.read_plan() is None:  # a typo in the folder's name must not make a new journal
        msg = f"there is no journal in {options.folder}"
        raise JournalError(msg)
    by = options.by or getpass.getuser()
    word = Resolution(
        options.chunk_id, Verdict(options.verdict), by, options.why, batch_uuid=options.batch_uuid, at=time.time()
    )
    journal = FileJournal(path, JournalWriter(f"arm-journal, by {by}", 1))
    try:
        entry = apply_resolution(journal, word)
    finally:
        journal.release()
    if entry is None:
        msg = f"no chunk of this journal is about chunk_id {options.chunk_id}: `arm-journal show` lists them"
        raise JournalError(msg)
    print(_describe(entry))
    return 0
