"""Effect log: how often each natural key took effect, when, and by which request.

It is the oracle of the tests, because it does not depend on what the client reports.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_arm.sandbox.state.clock import SandboxClock, format_timestamp
from airflow_provider_arm.sandbox.state.store import Store

#: Kinds of natural key, as :meth:`EffectLog.as_json` returns them.
EFFECT_KINDS = ("customers", "documents", "arItems", "payments", "files")


class EffectLog:
    """Log of every effect of a write."""

    def __init__(self, store: Store, clock: SandboxClock) -> None:
        self._store = store
        self._clock = clock

    def record(self, kind: str, key: str, what: str, request_no: int) -> None:
        """Record that *key* took effect.

        :param kind: one of ``EFFECT_KINDS``.
        :param what: ``created``, ``updated``, ``deleted``, ``credited``, ``posted`` or ``reserved``.
        :param request_no: number of the request in the request log.
        """
        at = format_timestamp(self._clock.now())
        self._store.execute(
            "INSERT INTO effect (kind, key, what, request, at) VALUES (?, ?, ?, ?, ?)",
            (kind, key, what, request_no, at),
        )

    def as_json(self) -> dict[str, Any]:
        """Return all effects by kind and natural key, and all batches by content hash."""
        effects: dict[str, Any] = {kind: {} for kind in EFFECT_KINDS}
        rows = self._store.fetch_all("SELECT kind, key, what, request, at FROM effect ORDER BY id")
        for kind, key, what, request_no, at in rows:
            entry = effects[kind].setdefault(key, {"effects": 0, "requests": [], "what": [], "at": []})
            entry["effects"] += 1
            entry["requests"].append(request_no)
            entry["what"].append(what)
            entry["at"].append(at)
        effects["batches"] = self._batches()
        return effects

    def _batches(self) -> dict[str, Any]:
        """Return batches by content hash: a batch that was submitted twice is one entry with two ``submits``."""
        batches: dict[str, Any] = {}
        rows = self._store.fetch_all(
            "SELECT content_hash, uuid, resource, method, request, total, state, processed, failed FROM batch "
            "ORDER BY number"
        )
        for content_hash, uuid, resource, method, request_no, total, state, processed, failed in rows:
            entry = batches.setdefault(
                content_hash,
                {
                    "resource": resource,
                    "method": method,
                    "records": total,
                    "submits": 0,
                    "effects": 0,
                    "requests": [],
                    "batch_uuids": [],
                    "states": [],
                    "processed": 0,
                    "failed": 0,
                },
            )
            entry["submits"] += 1
            entry["effects"] += 1 if processed else 0
            entry["requests"].append(request_no)
            entry["batch_uuids"].append(uuid)
            entry["states"].append(state)
            entry["processed"] += processed
            entry["failed"] += failed
        return batches
