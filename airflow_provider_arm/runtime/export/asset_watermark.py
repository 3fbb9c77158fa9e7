"""Watermark store in Airflow's asset state (Airflow 3.3 and later), which outlives the DAG run."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any

from airflow_provider_arm.export.incremental.errors import ArmWatermarkError
from airflow_provider_arm.export.incremental.stores import translate_store_errors

#: Limit of records per watermark: 3 MB, which takes a hundred calls to Airflow's API. A file can hold more.
MAX_RECORDS_IN_ASSET_STATE = 100_000
#: Characters of one value. Airflow warns above 64 KB of JSON, in which a quote takes two characters.
CHUNK_LENGTH = 32_000
#: Airflow's database allows keys of 512 characters. A longer key is truncated and ends in its hash.
_MAX_KEY_LENGTH = 400
#: Characters of the content's checksum in the keys of its chunks.
_CHECKSUM_LENGTH = 16
#: Reads of content whose chunks are missing because another run has replaced it in the meantime.
_MAX_READS = 3


class AssetWatermarkStore:
    """Store of a watermark as a head and chunks. The keys of the chunks contain a checksum of the content.

    Saving never changes the chunks of the previous content. The previous content therefore stays valid until the head
    names the new chunks, and two runs that save at the same time do not mix. Afterwards the previous chunks are
    deleted. A crash before the head is written leaves a few unused values behind.

    :param state: ``context["asset_state_store"][asset]``.
    :param name: key of the head, and prefix of the chunks' keys.
    """

    max_records = MAX_RECORDS_IN_ASSET_STATE

    def __init__(self, state: Any, name: str) -> None:
        self._state = state
        self._name = name

    def load(self) -> dict[str, Any] | None:
        """Read the content from its chunks; see ``WatermarkStore.load``."""
        head = self._read_head()
        for _ in range(_MAX_READS):
            if head is None:
                # Airflow answers the same for a missing key and for an unknown asset: only a write distinguishes them.
                with translate_store_errors("the watermark cannot be stored in the asset state"):
                    self._state.set(f"{self._name}.probe", "written before the first watermark")
                return None
            state = self._read_content(head)
            if state is not None:
                return state
            head, previous_head = self._read_head(), head
            if head == previous_head:
                break
        raise ArmWatermarkError(
            f"the watermark in the asset state is broken: parts of {self._name} are missing or changed. Delete that "
            "key from the asset's state; the next run then exports everything"
        )

    def save(self, state: dict[str, Any]) -> None:
        """Write the chunks, then the head; then delete the chunks of the previous head."""
        text = json.dumps(state, separators=(",", ":"))
        checksum = hashlib.sha256(text.encode()).hexdigest()
        chunks = [text[start : start + CHUNK_LENGTH] for start in range(0, len(text), CHUNK_LENGTH)]
        head = {"chunks": len(chunks), "sha256": checksum}
        with translate_store_errors("the watermark cannot be written to the asset state"):
            previous_head = self._state.get(self._name)
            for key, chunk in zip(self._chunk_keys(head), chunks, strict=True):
                self._state.set(key, chunk)
            self._state.set(self._name, head)
        if _is_head(previous_head) and previous_head["sha256"] != checksum:
            with suppress(Exception):  # unused chunks do no harm
                for key in self._chunk_keys(previous_head):
                    self._state.delete(key)

    def _read_head(self) -> Any:
        with translate_store_errors("the watermark cannot be read from the asset state"):
            return self._state.get(self._name)

    def _read_content(self, head: Any) -> dict[str, Any] | None:
        """Return the content that *head* names; ``None`` if a part of it is missing or changed."""
        if not _is_head(head):
            return None
        with translate_store_errors("the watermark cannot be read from the asset state"):
            chunks = [self._state.get(key) for key in self._chunk_keys(head)]
        if not all(isinstance(chunk, str) for chunk in chunks):
            return None
        text = "".join(chunks)
        if hashlib.sha256(text.encode()).hexdigest() != head["sha256"]:
            return None
        state: dict[str, Any] = json.loads(text)
        return state

    def _chunk_keys(self, head: dict[str, Any]) -> list[str]:
        return [f"{self._name}.{head['sha256'][:_CHECKSUM_LENGTH]}.{number}" for number in range(head["chunks"])]


def _is_head(value: Any) -> bool:
    return isinstance(value, dict) and type(value.get("chunks")) is int and isinstance(value.get("sha256"), str)


def watermark_key(dag_id: str, task_id: str, map_index: int) -> str:
    """Return the key of a task's watermark. Each map index has a key of its own."""
    key = f"arm_export.{dag_id}.{task_id}" + (f".{map_index}" if map_index >= 0 else "")
    if len(key) <= _MAX_KEY_LENGTH:
        return key
    return f"{key[: _MAX_KEY_LENGTH - 65]}-{hashlib.sha256(key.encode()).hexdigest()}"
