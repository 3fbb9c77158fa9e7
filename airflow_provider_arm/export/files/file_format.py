"""Which format and compression a file has, by its name. Loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_arm.client.errors import ArmConfigurationError

FORMATS = ("jsonl", "csv", "parquet")
#: Endings of compressed files.
COMPRESSIONS = {"gz": "gzip", "gzip": "gzip", "zst": "zstd", "zstd": "zstd"}


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A file's format, and ``gzip``, ``zstd`` or ``None``. Parquet compresses inside."""

    format: str
    compression: str | None = None


def choose_file_format(path: str, name: str | None = None) -> FileFormat:
    """Choose the format by its name, else by the path's ending, and the compression by the path's ending.

    Lines and CSV are compressed as a whole (``items.jsonl.gz``), Parquet inside (``items.zst.parquet``; its readers
    do not open a compressed file).

    :raises ArmConfigurationError: it is none of those that can be written, or name and ending contradict each other.
    """
    endings = path.rsplit("/", 1)[-1].lower().split(".")[1:]
    if endings and endings[-1] in COMPRESSIONS:
        compression, ending = COMPRESSIONS[endings[-1]], endings[-2] if len(endings) > 1 else ""
    else:
        compression, ending = None, endings[-1] if endings else ""
    chosen = name or ending
    if chosen not in FORMATS:
        msg = f"format must be one of {', '.join(FORMATS)} (given, or as the path's ending), not {chosen!r}"
        raise ArmConfigurationError(msg)
    if ending in FORMATS and ending != chosen:
        msg = f"path ends in .{ending} but format is {chosen}: make them agree"
        raise ArmConfigurationError(msg)
    if chosen == "parquet":
        if compression is not None:
            msg = f"path: Parquet compresses inside the file, so its name ends in .{endings[-1]}.parquet"
            raise ArmConfigurationError(msg)
        compression = COMPRESSIONS.get(endings[-2]) if len(endings) > 1 else None
    return FileFormat(chosen, compression)
