"""gzip and zstd, a page at a time: each page is a member of its own, which every reader takes for one file."""

from __future__ import annotations

import gzip
import io
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

#: zlib's own default: more costs twice the time for two per cent.
GZIP_LEVEL = 6


def need_pyarrow(what: str) -> Any:
    """Give pyarrow.

    :raises ArmConfigurationError: it is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError:
        msg = f"{what} needs pyarrow: install airflow-provider-arm[parquet]"
        raise ArmConfigurationError(msg) from None
    return pa


def compressor(name: str | None) -> Callable[[bytes], bytes]:
    """Make a function that compresses the bytes of one page. It may run in many threads at once.

    :raises ArmConfigurationError: zstd without pyarrow.
    """
    if name is None:
        return bytes
    if name == "gzip":
        # Without the time of day, so that the same records give the same file.
        return lambda data: gzip.compress(data, GZIP_LEVEL, mtime=0)
    pa = need_pyarrow("zstd")
    return lambda data: pa.Codec("zstd").compress(data, asbytes=True)


def open_compressed(file: IO[bytes], name: str | None) -> Any:
    """Read a compressed file as the plain one."""
    if name is None:
        return file
    if name == "gzip":
        return gzip.GzipFile(fileobj=file, mode="rb")
    pa = need_pyarrow("zstd")
    return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd"))
