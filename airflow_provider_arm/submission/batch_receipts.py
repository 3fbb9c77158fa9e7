"""Slips: small files in a folder, each of which names batches that somebody wants to hear of when they are finished.

ARM has no list of batches, so whoever submits has to say which ones they are. A slip stands in its folder until its
batches' end has been told, and that it stands there is all that is known of it: no state anywhere else can disagree.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_arm.submission.journal.checksummed_folder import JournalPath

_SUFFIX = ".json"


def leave_slip(folder: JournalPath, batches: Mapping[str, Any] | Sequence[str] | str) -> str | None:
    """Write a slip; gives its name, or ``None`` where there is no batch.

    The same batches give the same slip, so a task may leave it again in its next try.

    :param folder: an ``ObjectStoragePath`` (or ``pathlib.Path``) that the triggerer sees, too; need not exist.
    :param batches: what ``BatchSubmitOperator`` returned, a list of batchUuids, or one.
    :raises ArmConfigurationError: they are none of these.
    """
    uuids = _uuids(batches)
    if uuids is None:
        msg = "a slip needs what BatchSubmitOperator returned, or batchUuids"
        raise ArmConfigurationError(msg)
    if not uuids:
        return None
    name = hashlib.sha256("\n".join(uuids).encode()).hexdigest()[:32] + _SUFFIX
    with atomic_write(folder / name) as file:
        file.write(json.dumps({"batch_uuids": uuids}).encode())
    return name


def read_slips(folder: Any, known: Mapping[str, list[str]]) -> dict[str, list[str] | None]:
    """Give each slip's batches by its name; ``None`` for a file that is no slip.

    :param known: slips that were read before: they are not opened again.
    :raises OSError: the folder cannot be read.
    """
    filesystem = getattr(folder, "fs", None)
    if filesystem is not None:
        # A listing from memory would hide what another process has written.
        filesystem.invalidate_cache()
    slips: dict[str, list[str] | None] = {}
    try:
        names = sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return slips  # nobody has left one yet
    for name in names:
        if not name.endswith(_SUFFIX) or name.startswith("."):
            continue
        if name in known:
            slips[name] = known[name]
            continue
        with suppress(FileNotFoundError), (folder / name).open("rb") as file:
            try:
                slips[name] = _uuids(json.loads(file.read())) or None
            except (ValueError, RecursionError):
                slips[name] = None
    return slips


def remove_slip(folder: Any, name: str) -> None:
    """Remove a slip; one that is not there is removed."""
    with suppress(FileNotFoundError):
        (folder / name).unlink()


def _uuids(batches: Any) -> list[str] | None:
    """Give the batchUuids without doubles; ``None`` where they are no such thing."""
    # Not by type: an operator's result may come as one of Airflow's lazy sequences.
    named = batches["batch_uuids"] if hasattr(batches, "keys") and "batch_uuids" in batches else batches
    if isinstance(named, str):
        named = [named]
    try:
        uuids = list(dict.fromkeys(named))
    except TypeError:
        return None
    return uuids if not hasattr(named, "keys") and all(isinstance(one, str) and one.strip() for one in uuids) else None
