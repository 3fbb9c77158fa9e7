"""What a watcher has reported, kept with its asset in Airflow's state store (3.3 and later)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.triggers.polling.poll_loop import CLOCK

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger

log = logging.getLogger(__name__)

#: Seconds until a store that could not be read is asked again: Airflow's own API is away, for a restart mostly.
READ_AGAIN = 30.0


class ReportedStore:
    """One value under one key, with every asset that the trigger watches; nothing where Airflow has no store.

    :param key: names the watcher: an asset may have several.
    """

    def __init__(self, trigger: BaseEventTrigger, key: str) -> None:
        store = getattr(trigger, "asset_state_store", None)
        # Watchers that are alike are one trigger, whose assets Airflow's public interface does not name.
        several = [*getattr(store, "_by_name", {}).values(), *getattr(store, "_by_uri", {}).values()]
        self._stores: list[Any] = several or [store] if hasattr(store, "aget") else []
        self._key = key

    async def recall(self) -> list[Any]:
        """Give what was kept last, once for each asset that has it; waits until the store can be read.

        Going on without it would lose what came in between.
        """
        while True:
            try:
                kept = [await store.aget(self._key) for store in self._stores]
                return [each for each in kept if each is not None]
            except Exception as error:  # noqa: BLE001 - whatever Airflow's own API raises
                log.warning("What was reported cannot be read (%s); it is tried again", type(error).__name__)
            await CLOCK.asleep(READ_AGAIN)

    async def keep(self, value: Any) -> None:
        """Keep *value* in the place of the last. A failure is only logged: the next one keeps more."""
        for store in self._stores:
            try:
                await store.aset(self._key, value)
            except Exception as error:  # noqa: BLE001 - as above
                log.warning(
                    "What was reported could not be kept (%s): a restart before the next time reports it again",
                    type(error).__name__,
                )
