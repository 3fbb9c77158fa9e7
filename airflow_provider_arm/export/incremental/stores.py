"""Where a watermark is kept: the protocol, and a file anywhere."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_arm.export.incremental.errors import ArmWatermarkError, ArmWatermarkUnavailableError
from airflow_provider_arm.files import atomic_write, forget_listings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_arm.files import WritablePath

#: Records that a file remembers at most: 30 MB of JSON, written twice (before and after), read twice by each run.
MAX_RECORDS_IN_FILE = 1_000_000


class WatermarkStore(Protocol):
    """Keeps one watermark."""

    #: Records that it remembers at most.
    max_records: int

    def load(self) -> dict[str, Any] | None:
        """Give what was saved last, or ``None`` where nothing ever was.

        :raises ArmWatermarkUnavailableError: it cannot be read now.
        :raises ArmWatermarkError: it is there and broken.
        """

    def save(self, state: dict[str, Any]) -> None:
        """Keep *state* whole, or leave what was there.

        :raises ArmWatermarkUnavailableError: it cannot be written now.
        """


@contextmanager
def translate_store_errors(what: str) -> Iterator[None]:
    """Turn whatever a store raises into one sentence without a value in it.

    :param what: how the sentence begins.
    :raises ArmWatermarkUnavailableError: in place of any other error.
    """
    try:
        yield
    except ArmWatermarkError:
        raise
    except Exception as error:  # each store has exceptions of its own
        why = getattr(error, "strerror", None) or type(error).__name__
        msg = f"{what} ({why}); a later try may do"
        raise ArmWatermarkUnavailableError(msg) from error


class FileWatermarkStore:
    """Keeps the watermark in a file, which is replaced as a whole.

    :param path: need not exist.
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
            msg = (
                f"{self._path.name} is no watermark, or a broken one: put back an older copy of it, or delete it, and "
                "the next run exports everything anew"
            )
            raise ArmWatermarkError(msg)
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file."""
        with translate_store_errors("the watermark cannot be written"), atomic_write(self._path) as file:
            file.write(json.dumps(state, separators=(",", ":")).encode() + b"\n")
