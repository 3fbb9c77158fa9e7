"""Format and compression of a file, by its name. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_arm.client.errors import ArmConfigurationError

FORMATS = ("jsonl", "csv", "parquet")
#: Compressions by file name extension.
COMPRESSIONS = {"gz": "gzip", "gzip": "gzip", "zst": "zstd", "zstd": "zstd"}


@dataclass(frozen=True, slots=True)
class FileFormat:
    """Format and compression (``gzip``, ``zstd`` or ``None``) of a file."""

    format: str
    compression: str | None = None
    #: A name of :data:`~airflow_provider_arm.export.pages.csv_dialect.CSV_DIALECTS`.
    csv_dialect: str | None = None


def choose_file_format(path: str, name: str | None = None, csv_dialect: str | None = None) -> FileFormat:
    """Return the format by *name* or else by the path's extension, and the compression by the path's extension.

    JSON lines and CSV are compressed as a whole (``items.jsonl.gz``), Parquet inside the file (``items.zst.parquet``),
    because its readers do not open a compressed file.

    :param csv_dialect: of CSV only.
    :raises ArmConfigurationError: the format is unknown, or the arguments and the extension contradict each other.
    """
    endings = path.rsplit("/", 1)[-1].lower().split(".")[1:]
    if endings and endings[-1] in COMPRESSIONS:
        compression, ending = COMPRESSIONS[endings[-1]], endings[-2] if len(endings) > 1 else ""
    else:
        compression, ending = None, endings[-1] if endings else ""
    chosen = name or ending
    if chosen not in FORMATS:
        msg = f"format must be one of {', '.join(FORMATS)} (as an argument, or as the path's ending), not {chosen!r}"
        raise ArmConfigurationError(msg)
    if ending in FORMATS and ending != chosen:
        raise ArmConfigurationError(f"path ends in .{ending} but format is {chosen}: make them agree")
    if chosen == "parquet":
        if compression is not None:
            msg = f"path: Parquet compresses inside the file, so its name must end in .{endings[-1]}.parquet"
            raise ArmConfigurationError(msg)
        compression = COMPRESSIONS.get(endings[-2]) if len(endings) > 1 else None
    if csv_dialect is not None and chosen != "csv":
        raise ArmConfigurationError(f"csv_dialect applies to .csv files only, and the format is {chosen}")
    return FileFormat(chosen, compression, csv_dialect)
