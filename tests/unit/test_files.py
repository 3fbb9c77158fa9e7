from __future__ import annotations

from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.files import atomic_write, check_absolute, forget_listings

OLD, NEW = b"the old content", b"the new content"


class Boom(Exception):  # noqa: N818 - raised by tests only
    pass


class FailingPath(type(Path())):  # type: ignore[misc]  # before 3.12 Path itself cannot be subclassed
    """A real path with one failing operation, as on a full disk or a lost share."""

    failing: str | None = None

    def open(self, mode: str = "r", *args: Any, **more: Any) -> Any:
        """Fail, or return a file that may fail."""
        if self.failing == "open" and "w" in mode:
            raise OSError(28, "No space left on device")
        file = super().open(mode, *args, **more)
        if self.failing in {"write", "close"} and "w" in mode:
            return FailingFile(file, self.failing)
        return file

    def replace(self, target: Any) -> Any:
        """Fail, or rename."""
        if self.failing == "replace":
            raise PermissionError(13, "not yours")
        return super().replace(target)


class FailingFile:
    """An open file that fails at a write or at its close."""

    def __init__(self, file: Any, failing: str) -> None:
        self._file, self._failing = file, failing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._failing == "close":
            raise OSError(5, "Input/output error")

    def write(self, data: bytes) -> int:
        """Fail after half of the data, or write."""
        if self._failing == "write":
            self._file.write(data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return self._file.write(data)


@pytest.fixture(autouse=True, scope="module")
def _memory() -> None:
    """Register memory://, which Airflow does not support by default."""
    attach("memory", fs=MemoryFileSystem())


@pytest.fixture(params=["pathlib", "file", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A path in a folder that does not exist yet, of each type that users have."""
    factories = {
        "pathlib": lambda: tmp_path / "new" / "data.jsonl",
        "file": lambda: ObjectStoragePath(f"file://{tmp_path}/new/data.jsonl"),
        "memory": lambda: ObjectStoragePath(f"memory://{uuid4().hex}/data.jsonl"),
    }
    return factories[request.param]()


def write(path: Any, content: list[bytes], fails_after: int, error: type[BaseException] = Boom) -> None:
    """Write pieces, and raise *error* after *fails_after* of them."""
    with atomic_write(path) as file:
        for piece in content[:fails_after]:
            file.write(piece)
        if fails_after <= len(content):
            raise error


def names(folder: Any) -> list[str]:
    """Return the names in a folder; a missing folder has none."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_atomic_write_leaves_one_complete_file(target):
    """Under the final name, in a folder that is created for it, without the temporary file."""
    with atomic_write(target) as file:
        file.write(NEW[:5])
        file.write(NEW[5:])
    assert target.read_bytes() == NEW
    assert names(target.parent) == ["data.jsonl"]


def test_atomic_write_replaces_an_existing_file(target):
    """It is replaced completely, also by a shorter one."""
    for content in (OLD, b"x"):
        with atomic_write(target) as file:
            file.write(content)
    assert target.read_bytes() == b"x"
    assert names(target.parent) == ["data.jsonl"]


def test_new_file_does_not_exist_while_the_block_runs(target):
    """An incomplete file cannot be read by its name."""
    with atomic_write(target) as file:
        file.write(NEW)
        assert not target.exists()
    assert target.exists()


def test_existing_file_is_complete_while_the_block_runs(target):
    """Until the new file is complete, readers get the old one."""
    with atomic_write(target) as file:
        file.write(OLD)
    with atomic_write(target) as file:
        file.write(NEW)
        assert target.read_bytes() == OLD


@pytest.mark.parametrize("error", [Boom, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("existed", [True, False], ids=["over an old one", "new"])
def test_block_that_fails_changes_nothing(target, error, existed):
    """Whatever ends the block early, also a signal: the old content stays, and no new file is left."""
    if existed:
        with atomic_write(target) as file:
            file.write(OLD)
    with pytest.raises(error):
        write(target, [NEW], fails_after=1, error=error)
    assert names(target.parent) == (["data.jsonl"] if existed else [])
    assert not existed or target.read_bytes() == OLD


@pytest.mark.parametrize("failing", ["open", "write", "close", "replace"])
@pytest.mark.parametrize("existed", [True, False], ids=["over an old one", "new"])
def test_failing_disk_operation_changes_nothing(tmp_path, monkeypatch, failing, existed):
    """For each operation: its error is raised, the old content stays, and there is no temporary file."""
    path = FailingPath(tmp_path / "data.jsonl")
    if existed:
        (tmp_path / "data.jsonl").write_bytes(OLD)
    monkeypatch.setattr(FailingPath, "failing", failing)
    with pytest.raises(OSError, match=r"No space|Input/output|not yours"), atomic_write(path) as file:
        file.write(NEW)
    assert names(tmp_path) == (["data.jsonl"] if existed else [])
    assert not existed or (tmp_path / "data.jsonl").read_bytes() == OLD


def test_folder_that_cannot_be_created_raises_when_the_file_is_opened(tmp_path):
    """If a file has the name of the folder, the operating system's error is raised."""
    (tmp_path / "folder").write_bytes(OLD)
    with pytest.raises(NotADirectoryError), atomic_write(tmp_path / "folder" / "data.jsonl"):
        pass
    assert names(tmp_path) == ["folder"]


def test_concurrent_writers_of_one_file_do_not_interfere(tmp_path):
    """Each has its own temporary file; the file of the last one remains, complete."""
    path = tmp_path / "data.jsonl"
    with atomic_write(path) as first:
        first.write(b"first")
        with atomic_write(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
        assert len(names(tmp_path)) == 2
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["data.jsonl"]


@settings(max_examples=30, deadline=None)
@given(content=st.lists(st.binary(max_size=50), max_size=5), fails_after=st.integers(0, 6))
def test_atomic_write_is_all_or_nothing(tmp_path_factory, content, fails_after):
    """After any number of writes, the file has all of the new content or all of the old."""
    path = tmp_path_factory.mktemp("whole") / "data.bin"
    path.write_bytes(OLD)
    try:
        write(path, content, fails_after)
    except Boom:
        assert path.read_bytes() == OLD
    else:
        assert path.read_bytes() == b"".join(content)
    assert names(path.parent) == ["data.bin"]


@pytest.mark.parametrize("path", ["/var/arm/journal", "s3://bucket/journal", "file:///var/arm", "memory://x"])
def test_absolute_path_or_url_is_accepted(path):
    """It names the same place in every process."""
    assert check_absolute(path, "journal_path") is None


@pytest.mark.parametrize("path", ["journal", "./journal", "../journal", "~/journal", "file:/journal", ""])
def test_relative_path_raises_with_argument_and_reason(path):
    """The message has the argument, its value and the reason."""
    with pytest.raises(ArmConfigurationError) as caught:
        check_absolute(path, "journal_path")
    assert str(caught.value) == f"journal_path must be absolute, not {path!r}: each try may start in another folder"
    with pytest.raises(ValueError, match="the triggerer starts in a folder of its own"):
        check_absolute(path, "receipts_path", "the triggerer starts in a folder of its own")


def test_forget_listings_drops_the_cache_of_the_file_system(tmp_path, monkeypatch):
    """A pathlib.Path has none."""
    calls = []
    folder = ObjectStoragePath(f"file://{tmp_path}")
    monkeypatch.setattr(type(folder.fs), "invalidate_cache", lambda *args: calls.append(args))
    forget_listings(folder)
    forget_listings(tmp_path)
    assert len(calls) == 1
