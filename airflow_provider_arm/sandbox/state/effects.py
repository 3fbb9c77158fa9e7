"""The oracle: how often each natural key took effect, when, and by which request. Tests ask it, never the client."""

from __future__ import annotations

from typing import Any

from airflow_provider_arm.sandbox.state.clock import SandboxClock, stamp
from airflow_provider_arm.sandbox.state.store import Store

#: The kinds of key, as :meth:`EffectLog.as_json` shows them.
EFFECT_KINDS = ("customers", "documents", "arItems", "payments")


class EffectLog:
    """Writes down every effect."""

    def __init__(self, store: Store, clock: SandboxClock) -> None:
        self._store = store
        self._clock = clock

    def record(self, kind: str, key: str, what: str, request: int) -> None:
        """*key* took effect: ``created``, ``updated``, ``deleted`` or another word."""
        at = stamp(self._clock.now())
        self._store.execute(
            "INSERT INTO effect (kind, key, what, request, at) VALUES (?, ?, ?, ?, ?)", (kind, key, what, request, at)
        )

    def as_json(self) -> dict[str, Any]:
        """Everything that took effect, by kind and key."""
        found: dict[str, Any] = {kind: {} for kind in EFFECT_KINDS}
        rows = self._store.fetch_all("SELECT kind, key, what, request, at FROM effect ORDER BY id")
        for kind, key, what, request, at in rows:
            entry = found[kind].setdefault(key, {"effects": 0, "requests": [], "what": [], "at": []})
            entry["effects"] += 1
            entry["requests"].append(request)
            entry["what"].append(what)
            entry["at"].append(at)
        found["batches"] = self._batches()
        return found

    def _batches(self) -> dict[str, Any]:
        """By content hash: a batch that was taken twice stands here with two ``submits``."""
        found: dict[str, Any] = {}
        rows = self._store.fetch_all(
            "SELECT content_hash, uuid, resource, method, request, total, state, processed, failed FROM batch "
            "ORDER BY number"
        )
        for content, uuid, resource, method, request, total, state, processed, failed in rows:
            entry = found.setdefault(
                content,
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
            entry["requests"].append(request)
            entry["batch_uuids"].append(uuid)
            entry["states"].append(state)
            entry["processed"] += processed
            entry["failed"] += failed
        return found
