"""Stores of watermarks: the protocol, and a store in a file."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_arm.export.incremental.errors import ArmWatermarkError, ArmWatermarkUnavailableError
from airflow_provider_arm.files import atomic_write, forget_listings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_arm.files import WritablePath

#: Limit of records per watermark: 30 MB of JSON (before and after), which each run reads twice.
MAX_RECORDS_IN_FILE = 1_000_000


class WatermarkStore(Protocol):
    """Store of one watermark."""

    #: Limit of records whose digests the watermark can contain.
    max_records: int

    def load(self) -> dict[str, Any] | None:
        """Return the stored state, or ``None`` if there is none.

        :raises ArmWatermarkUnavailableError: it cannot be read now.
        :raises ArmWatermarkError: it is broken.
        """

    def save(self, state: dict[str, Any]) -> None:
        """Replace the stored state as a whole, or leave it unchanged.

        :raises ArmWatermarkUnavailableError: it cannot be written now.
        """


@contextmanager
def translate_store_errors(failure: str) -> Iterator[None]:
    """Translate all exceptions of a store into one error, whose message contains no value.

    :param failure: the beginning of the message.
    :raises ArmWatermarkUnavailableError: instead of any exception but :class:`ArmWatermarkError`.
    """
    try:
        yield
    except ArmWatermarkError:
        raise
    except Exception as error:  # each store raises exceptions of its own
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ArmWatermarkUnavailableError(f"{failure} ({reason}); a retry may succeed") from error


class FileWatermarkStore:
    """Store of a watermark in a file, which is replaced as a whole.

    :param path: the file, which need not exist.
    """

    max_records = MAX_RECORDS_IN_FILE

    def __init__(self, path: WritablePath) -> None:
        self._path = path

    def load(self) -> dict[str, Any] | None:
        """Read the file; see :meth:`WatermarkStore.load`."""
        with translate_store_errors("the watermark cannot be read"):
            forget_listings(self._path)
            try:
                with self._path.open("rb") as file:
                    text = file.read()
            except FileNotFoundError:
                return None
        try:
            state = json.loads(text)
        except (ValueError, RecursionError):
            state = None
        if not isinstance(state, dict):
            raise ArmWatermarkError(
                f"{self._path.name} is not a watermark, or a broken one: restore an older copy of it, or delete it; "
                "the next run then exports everything"
            )
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file; see :meth:`WatermarkStore.save`."""
        with translate_store_errors("the watermark cannot be written"), atomic_write(self._path) as file:
            file.write(json.dumps(state, separators=(",", ":")).encode() + b"\n")
