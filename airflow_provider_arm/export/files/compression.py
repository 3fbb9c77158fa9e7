"""gzip and zstd, page by page: each page is a member of its own, which readers accept as one file."""

from __future__ import annotations

import gzip
import io
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

#: zlib's default: higher levels take twice the time for two percent.
GZIP_LEVEL = 6


def need_pyarrow(what: str) -> Any:
    """Return pyarrow.

    :raises ArmConfigurationError: it is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise ArmConfigurationError(f"{what} needs pyarrow: install airflow-provider-arm[parquet]") from None
    return pa


def compressor(name: str | None) -> Callable[[bytes], bytes]:
    """Return a thread-safe function that compresses one page.

    :raises ArmConfigurationError: zstd without pyarrow.
    """
    if name is None:
        return bytes
    if name == "gzip":
        # Without a time, so that the same records result in the same file.
        return lambda data: gzip.compress(data, GZIP_LEVEL, mtime=0)
    pa = need_pyarrow("zstd")
    return lambda data: pa.Codec("zstd").compress(data, asbytes=True)


def open_compressed(file: IO[bytes], name: str | None) -> Any:
    """Return a file object with the decompressed content of *file*."""
    if name is None:
        return file
    if name == "gzip":
        return gzip.GzipFile(fileobj=file, mode="rb")
    pa = need_pyarrow("zstd")
    return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd"))
