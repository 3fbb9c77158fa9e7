"""Batch receipts: small JSON files in a folder, each of which names batches to report when they are finished.

ARM has no list of batches, so the submitting task records which batches there are. A receipt stays in its folder until
the event for its batches is stored. Its existence is the only state, so no other state can contradict it.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.files import atomic_write, forget_listings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_arm.submission.journal.checksummed_folder import FolderPath

_SUFFIX = ".json"

#: Number of records of each batch of a receipt, by its batchUuid; ``None`` where it is not known.
ReceiptBatches = dict[str, int | None]


def write_receipt(folder: FolderPath, batches: Mapping[str, Any] | Sequence[str] | str) -> str | None:
    """Write a receipt and return its file name, or ``None`` if there are no batches.

    The same batches always get the same file name, so a retry of a task can write its receipt again.

    :param folder: an ``ObjectStoragePath`` (or ``pathlib.Path``) that the triggerer can read, too; it need not exist.
    :param batches: the result of ``BatchSubmitOperator``, a list of batchUuids, or one batchUuid.
    :raises ArmConfigurationError: *batches* is none of these.
    """
    receipt = _read_batches(batches)
    if receipt is None:
        raise ArmConfigurationError("a batch receipt needs the result of BatchSubmitOperator, or batchUuids")
    if not receipt:
        return None
    known = {uuid: records for uuid, records in receipt.items() if records is not None}
    name = hashlib.sha256("\n".join(receipt).encode()).hexdigest()[:32] + _SUFFIX
    with atomic_write(folder / name) as file:
        file.write(json.dumps({"batch_uuids": list(receipt), "batch_records": known}).encode())
    return name


def read_receipts(folder: Any, known: Mapping[str, ReceiptBatches]) -> dict[str, ReceiptBatches | None]:
    """Return the batches of each receipt by file name; ``None`` for a .json file that is not a receipt.

    :param known: receipts that were read before. They are not opened again.
    :raises OSError: the folder cannot be read.
    """
    forget_listings(folder)
    receipts: dict[str, ReceiptBatches | None] = {}
    try:
        names = sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return receipts  # no receipt has been written yet
    for name in names:
        if not name.endswith(_SUFFIX) or name.startswith("."):
            continue
        if name in known:
            receipts[name] = known[name]
            continue
        with suppress(FileNotFoundError), (folder / name).open("rb") as file:
            try:
                receipts[name] = _read_batches(json.loads(file.read())) or None
            except (ValueError, RecursionError):
                receipts[name] = None
    return receipts


def remove_receipt(folder: Any, name: str) -> None:
    """Remove a receipt; do nothing if it does not exist."""
    with suppress(FileNotFoundError):
        (folder / name).unlink()


def _read_batches(batches: Any) -> ReceiptBatches | None:
    """Return the batches without duplicates; ``None`` if *batches* does not hold any."""
    # No isinstance check: the result of an operator may be one of Airflow's lazy sequences.
    is_result = hasattr(batches, "keys") and "batch_uuids" in batches
    value = batches["batch_uuids"] if is_result else batches
    if isinstance(value, str):
        value = [value]
    try:
        uuids = list(dict.fromkeys(value))
    except TypeError:
        return None
    if hasattr(value, "keys") or not all(isinstance(uuid, str) and uuid.strip() for uuid in uuids):
        return None
    records = batches.get("batch_records") if is_result else None
    sizes = records if isinstance(records, dict) else {}
    return {uuid: sizes[uuid] if type(sizes.get(uuid)) is int else None for uuid in uuids}
