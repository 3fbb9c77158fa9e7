"""Atomic writes, and checks of paths that several processes use. Imports no Airflow."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, Protocol, Self

from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Suffix of a file that is not complete yet.
PART_SUFFIX = ".part"


class WritablePath(Protocol):
    """Path to write to: an ``ObjectStoragePath`` or a ``pathlib.Path``."""

    @property
    def name(self) -> str:
        """Last part of the path."""

    @property
    def parent(self) -> Self:
        """Folder that contains the path."""

    def with_name(self, name: str) -> Self:
        """Return the path with another last part."""

    def open(self, mode: str) -> IO[Any]:
        """Open the file."""

    def replace(self, target: Any) -> Any:
        """Rename to *target* and replace an existing file."""

    def unlink(self) -> None:
        """Remove the file."""

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002
        """Create the folder."""


@contextmanager
def atomic_write(path: WritablePath) -> Iterator[IO[bytes]]:
    """Open a temporary file beside *path* for writing, and rename it to *path* when the block ends without an error.

    If the block fails, an existing file is left untouched and the temporary file is removed.
    """
    with suppress(OSError, NotImplementedError):  # an object store has no folders to create
        path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART_SUFFIX}")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def check_absolute(path: str, argument: str, reason: str = "each try may start in another folder") -> None:
    """Check that *path* names the same place in every process: a URL such as ``s3://...``, or an absolute local path.

    :param argument: name of the argument, for the message.
    :param reason: why a relative path cannot work, for the message.
    :raises ArmConfigurationError: *path* is relative.
    """
    if "://" not in path and not path.startswith("/"):
        raise ArmConfigurationError(f"{argument} must be absolute, not {path!r}: {reason}")


def forget_listings(path: Any) -> None:
    """Drop what fsspec has cached about the file system of *path*: it would hide what another process has written.

    :param path: an ``ObjectStoragePath``; a ``pathlib.Path`` has no cache.
    """
    filesystem = getattr(path, "fs", None)
    if filesystem is not None:
        filesystem.invalidate_cache()
