"""State that every request handler works on."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_arm.sandbox.state.clock import SandboxClock, epoch_ms, format_timestamp
from airflow_provider_arm.sandbox.state.effects import EffectLog
from airflow_provider_arm.sandbox.state.queries import QueryStore
from airflow_provider_arm.sandbox.state.store import Store
from airflow_provider_arm.sandbox.state.switches import SwitchValues


@dataclass(slots=True)
class SandboxContext:
    """Store, clock, switches, effect log and stored queries of one client, and ids derived from the seed."""

    client_no: int
    seed: int
    store: Store
    clock: SandboxClock
    switches: SwitchValues
    effects: EffectLog = field(init=False)
    queries: QueryStore = field(init=False)
    #: Uploaded files, without their content; in memory only.
    files: list[dict[str, Any]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.effects = EffectLog(self.store, self.clock)
        self.queries = QueryStore()

    def now(self) -> dt.datetime:
        """Return the sandbox's time."""
        return self.clock.now()

    def now_ms(self) -> int:
        """Return the sandbox's time in milliseconds since 1970."""
        return epoch_ms(self.clock.now())

    def timestamp(self) -> str:
        """Return the sandbox's time as ARM writes it."""
        return format_timestamp(self.clock.now())

    def uuid(self, series: str) -> str:
        """Return the next UUID of a series.

        Its letters are in mixed case: ARM compares UUIDs exactly, so a client that changes the case gets a 404.
        """
        digest = self._next_digest(series)
        text = digest[:16].hex()
        mixed = "".join(c.upper() if digest[16 + i % 16] >> (i // 16) & 1 else c for i, c in enumerate(text))
        return f"{mixed[:8]}-{mixed[8:12]}-4{mixed[13:16]}-a{mixed[17:20]}-{mixed[20:]}"

    def short_id(self, series: str) -> str:
        """Return the next id of a series: 22 characters, as ARM's ``queryId`` and ``externalId1``."""
        return base64.urlsafe_b64encode(self._next_digest(series)[:16]).decode().rstrip("=")

    def _next_digest(self, series: str) -> bytes:
        return hashlib.sha256(f"{self.seed} {series} {self.store.next_number(series)}".encode()).digest()
