"""The watermark of an export in Airflow's asset state (Airflow 3.3 and later): it outlives the run."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any

from airflow_provider_arm.export.incremental.errors import ArmWatermarkError
from airflow_provider_arm.export.incremental.stores import translate_store_errors

#: Records that asset state remembers at most: 3 MB, which is a hundred calls to Airflow's API. A file takes more.
MAX_RECORDS_IN_ASSET_STATE = 100_000
#: Characters of one value. Airflow warns above 64 KB of JSON, in which a quote takes two.
CHUNK_LENGTH = 32_000
#: Airflow's database takes keys of 512 characters; a longer name is cut and told apart by its hash.
_MAX_KEY_LENGTH = 400
#: Characters of a content's checksum that name its chunks.
_CHECKSUM_LENGTH = 16
#: How often a content is looked for whose chunks are gone because another run has written a new one meanwhile.
_MAX_READS = 3


class AssetWatermarkStore:
    """Keeps the watermark as a head and chunks whose keys are named by their content.

    A new content never touches the chunks of the old one, so the old is whole until the head names the new; and two
    runs that write at once do not mix. The old chunks are deleted afterwards. What a crash leaves before the head is
    written is a few values that nobody reads.

    :param state: ``context["asset_state_store"][asset]``.
    :param name: the head's key; the chunks' keys begin with it.
    """

    max_records = MAX_RECORDS_IN_ASSET_STATE

    def __init__(self, state: Any, name: str) -> None:
        self._state = state
        self._name = name

    def load(self) -> dict[str, Any] | None:
        """Put the content together; see ``WatermarkStore.load``."""
        head = self._head()
        for _ in range(_MAX_READS):
            if head is None:
                # Airflow answers alike for a key and for an asset that it does not know: only a write tells them apart.
                with translate_store_errors("the watermark cannot be kept at the asset"):
                    self._state.set(f"{self._name}.probe", "written before the first watermark")
                return None
            state = self._content(head)
            if state is not None:
                return state
            head, known = self._head(), head
            if head == known:
                break
        msg = (
            f"the watermark in the asset state is broken: parts of {self._name} are missing or changed. Delete that "
            "key from the asset's state, and the next run exports everything anew"
        )
        raise ArmWatermarkError(msg)

    def save(self, state: dict[str, Any]) -> None:
        """Write the chunks, then the head; then delete the chunks that the head named before."""
        text = json.dumps(state, separators=(",", ":"))
        checksum = hashlib.sha256(text.encode()).hexdigest()
        chunks = [text[start : start + CHUNK_LENGTH] for start in range(0, len(text), CHUNK_LENGTH)]
        head = {"chunks": len(chunks), "sha256": checksum}
        with translate_store_errors("the watermark cannot be written to the asset state"):
            old = self._state.get(self._name)
            for key, chunk in zip(self._keys(head), chunks, strict=True):
                self._state.set(key, chunk)
            self._state.set(self._name, head)
        if _is_head(old) and old["sha256"] != checksum:
            with suppress(Exception):  # they only take room
                for key in self._keys(old):
                    self._state.delete(key)

    def _head(self) -> Any:
        with translate_store_errors("the watermark cannot be read from the asset state"):
            return self._state.get(self._name)

    def _content(self, head: Any) -> dict[str, Any] | None:
        """Give the content that a head names; ``None`` where it is not whole."""
        if not _is_head(head):
            return None
        with translate_store_errors("the watermark cannot be read from the asset state"):
            chunks = [self._state.get(key) for key in self._keys(head)]
        if not all(isinstance(chunk, str) for chunk in chunks):
            return None
        text = "".join(chunks)
        if hashlib.sha256(text.encode()).hexdigest() != head["sha256"]:
            return None
        state: dict[str, Any] = json.loads(text)
        return state

    def _keys(self, head: dict[str, Any]) -> list[str]:
        return [f"{self._name}.{head['sha256'][:_CHECKSUM_LENGTH]}.{number}" for number in range(head["chunks"])]


def _is_head(value: Any) -> bool:
    return isinstance(value, dict) and type(value.get("chunks")) is int and isinstance(value.get("sha256"), str)


def watermark_key(dag_id: str, task_id: str, map_index: int) -> str:
    """Name the watermark of a task; each map index has its own."""
    name = f"arm_export.{dag_id}.{task_id}" + (f".{map_index}" if map_index >= 0 else "")
    if len(name) <= _MAX_KEY_LENGTH:
        return name
    return f"{name[: _MAX_KEY_LENGTH - 65]}-{hashlib.sha256(name.encode()).hexdigest()}"
