"""Reported items of a watcher, stored with its asset in Airflow's state store (3.3 and later)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.triggers.polling.poll_loop import CLOCK

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger

log = logging.getLogger(__name__)

#: Seconds until a store that could not be read is read again: mostly Airflow's own API restarts.
READ_RETRY_DELAY = 30.0


class ReportedStore:
    """One value under one key, stored with every asset that the trigger watches; no effect without a state store.

    :param key: of the watcher: an asset may have several.
    """

    def __init__(self, trigger: BaseEventTrigger, key: str) -> None:
        store = getattr(trigger, "asset_state_store", None)
        # Equal watchers are one trigger; Airflow's public interface does not list its assets.
        several = [*getattr(store, "_by_name", {}).values(), *getattr(store, "_by_uri", {}).values()]
        self._stores: list[Any] = several or [store] if hasattr(store, "aget") else []
        self._key = key

    async def load(self) -> list[Any]:
        """Return the last stored value of each asset that has one. Wait until the store can be read.

        Continuing without the values would lose the items of the meantime.
        """
        while True:
            try:
                values = [await store.aget(self._key) for store in self._stores]
                return [value for value in values if value is not None]
            except Exception as error:  # noqa: BLE001 - whatever Airflow's own API raises
                log.warning("The reported items cannot be read (%s); retrying", type(error).__name__)
            await CLOCK.asleep(READ_RETRY_DELAY)

    async def save(self, value: Any) -> None:
        """Store *value* in place of the last one. A failure is only logged: the next save includes its items."""
        for store in self._stores:
            try:
                await store.aset(self._key, value)
            except Exception as error:  # noqa: BLE001 - as above
                log.warning(
                    "The reported items could not be stored (%s): a restart before the next save reports them again",
                    type(error).__name__,
                )
