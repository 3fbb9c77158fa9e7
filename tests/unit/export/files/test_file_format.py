from __future__ import annotations

import gzip
import io

import pytest

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export.files.compression import compressor, open_compressed
from airflow_provider_arm.export.files.file_format import FileFormat, choose_file_format


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("s3://b/a.jsonl", None, FileFormat("jsonl")),
        ("/x/a.CSV", None, FileFormat("csv")),
        ("/x/a.txt", "csv", FileFormat("csv")),
        ("/x.csv/a", "jsonl", FileFormat("jsonl")),
        ("/x/a.jsonl.gz", None, FileFormat("jsonl", "gzip")),
        ("/x/2026.01.csv.zst", "csv", FileFormat("csv", "zstd")),
        ("/x/a.gz", "csv", FileFormat("csv", "gzip")),
        ("/x/a.parquet", None, FileFormat("parquet")),
        ("/x/a.gz.parquet", None, FileFormat("parquet", "gzip")),
        ("/x/a.zstd.parquet", "parquet", FileFormat("parquet", "zstd")),
        ("/x/a.b.parquet", None, FileFormat("parquet")),
    ],
)
def test_format_and_compression_follow_from_the_name(path, name, expected):
    """An explicit format overrides the file name's extension."""
    assert choose_file_format(path, name) == expected


@pytest.mark.parametrize("path", ["a.jsonl", "a.parquet", "a.jsonl.gz"])
def test_csv_dialect_of_another_format_raises(path):
    """The other formats have none."""
    assert choose_file_format("a.csv.gz", None, "excel") == FileFormat("csv", "gzip", "excel")
    with pytest.raises(ArmConfigurationError, match=r"csv_dialect applies to \.csv files only"):
        choose_file_format(path, None, "excel")


@pytest.mark.parametrize(
    ("path", "name", "message"),
    [
        ("/x/a.xlsx", None, "format must be one of jsonl, csv, parquet"),
        ("/x.csv/a", None, "format must be one of"),
        ("/x/a.gz", None, "format must be one of"),
        ("/x/a.csv", "xml", "format must be one of"),
        ("/x/a.csv", "jsonl", "path ends in .csv but format is jsonl"),
        ("/x/a.csv.gz", "jsonl", "path ends in .csv but format is jsonl"),
        ("/x/a.parquet.gz", None, r"its name must end in .gz.parquet"),
    ],
)
def test_invalid_format_raises_with_the_valid_ones(path, name, message):
    """The error is raised before the first request."""
    with pytest.raises(ArmConfigurationError, match=message):
        choose_file_format(path, name)


@pytest.mark.parametrize("name", [None, "gzip", "zstd"])
def test_pages_compressed_separately_are_read_as_one_file(name):
    """Equal pages result in equal bytes."""
    pages = [b"first\n" * 1000, b"second\n", b"third"]
    content = b"".join(map(compressor(name), pages))
    assert open_compressed(io.BytesIO(content), name).read() == b"".join(pages)
    assert content == b"".join(map(compressor(name), pages))
    if name == "gzip":
        assert gzip.decompress(content) == b"".join(pages)
