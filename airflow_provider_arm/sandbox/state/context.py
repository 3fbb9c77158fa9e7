"""What every handler works on: store, clock, switches, ledger, and the names that come from the seed."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from dataclasses import dataclass, field

from airflow_provider_arm.sandbox.state.clock import SandboxClock, epoch_ms, stamp
from airflow_provider_arm.sandbox.state.effects import EffectLog
from airflow_provider_arm.sandbox.state.queries import QueryStore
from airflow_provider_arm.sandbox.state.store import Store
from airflow_provider_arm.sandbox.state.switches import SwitchValues


@dataclass(slots=True)
class SandboxContext:
    """One client's receivables."""

    client_no: int
    seed: int
    store: Store
    clock: SandboxClock
    switches: SwitchValues
    ledger: EffectLog = field(init=False)
    queries: QueryStore = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = EffectLog(self.store, self.clock)
        self.queries = QueryStore()

    def now(self) -> dt.datetime:
        """The sandbox's time."""
        return self.clock.now()

    def now_ms(self) -> int:
        """The same in milliseconds."""
        return epoch_ms(self.clock.now())

    def stamp(self) -> str:
        """The same as ARM writes it."""
        return stamp(self.clock.now())

    def uuid(self, series: str) -> str:
        """The next UUID of a series.

        Letters come in both cases: ARM compares UUIDs exactly, so a caller that changes the case finds nothing.
        """
        digest = self._digest(series)
        text = digest[:16].hex()
        mixed = "".join(c.upper() if digest[16 + i % 16] >> (i // 16) & 1 else c for i, c in enumerate(text))
        return f"{mixed[:8]}-{mixed[8:12]}-4{mixed[13:16]}-a{mixed[17:20]}-{mixed[20:]}"

    def short_id(self, series: str) -> str:
        """The next 22-character name of a series, as ARM's ``queryId`` and ``externalId1`` look."""
        return base64.urlsafe_b64encode(self._digest(series)[:16]).decode().rstrip("=")

    def _digest(self, series: str) -> bytes:
        return hashlib.sha256(f"{self.seed} {series} {self.store.number(series)}".encode()).digest()
