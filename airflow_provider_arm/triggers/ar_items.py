"""Start a DAG when ARM has new AR items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.client.assumptions import WINDOW_FILTERS
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.triggers.event_stream import ArmEventTrigger, as_mapping, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Seconds between two looks: a DAG run per five minutes is the most that anybody reads.
DEFAULT_POLL_INTERVAL = 300.0
#: Seconds after its created time in which an item may become visible, and by which two clocks may differ.
DEFAULT_OVERLAP = 600.0
#: Parameters of the list that are the watcher's own business.
OWN_FILTERS = frozenset({*WINDOW_FILTERS["createdtime"], "pageno", "query", "maximumcount", "pagesize"})


class NewArItemsEventTrigger(ArmEventTrigger):
    """Sends an event whenever AR items have appeared that it has not reported: for an ``AssetWatcher``.

    It lists ``GET /clients/{clientno}/aritems`` by created time. One event per look that found any::

        {"count": 3, "from": "2025-02-27T17:03:36.176+01:00", "to": "2025-02-27T17:05:02.410+01:00",
         "totals": {"NOK": {"currencyAmount": "1875", "currencyBalance": "1250"}}}

    ``from`` and ``to`` are the first and last created time among the new items, as ARM wrote them; amounts are exact,
    as text. No record and no key of one is in it. After an absence there may be several events, the oldest first.

    Airflow 3.3 and later keep with the asset what was reported, so that a restart loses nothing; an event comes twice
    only where the triggerer dies between Airflow's storing the event and noting that, which is a second or two. Before
    3.3 a restart begins *look_back* before its own time.

    :param arm_conn_id: connection of type ``arm``; default ``arm_default``.
    :param client_no: the ARM client; default the connection's.
    :param filters: ARM's own filters, passed through, such as ``{"customerno": "543210"}``.
    :param where: values that count, by ARM's name of the field, such as ``{"voucherType": [1]}``. It is looked at here
        and not by ARM, so that watchers that differ in nothing else share one poll. Default: all count.
    :param poll_interval: seconds between two looks; default 300.
    :param overlap: seconds after its created time in which an item may become visible; default 600. So long it is
        looked for again, unless that would be more than 5,000 items.
    :param look_back: seconds before its first look from which on items count; default 0.
    :raises ValueError: a filter or a number that cannot be.
    """

    worker: ClassVar[str] = "airflow_provider_arm.triggers.polling.new_items_poller"

    def __init__(
        self,
        *,
        arm_conn_id: str = ArmHook.default_conn_name,
        client_no: int | None = None,
        filters: Mapping[str, Any] | str | None = None,
        where: Mapping[str, Sequence[Any]] | str | None = None,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        overlap: float = DEFAULT_OVERLAP,
        look_back: float = 0.0,
    ) -> None:
        super().__init__(arm_conn_id=arm_conn_id, client_no=client_no, poll_interval=poll_interval)
        self.filters: dict[str, Any] = as_mapping(filters)
        self.where: dict[str, list[Any]] = as_mapping(where)
        if own := sorted(OWN_FILTERS & set(self.filters)):
            msg = f"filters: {', '.join(own)} is set by the watcher itself"
            raise ValueError(msg)
        if overlap < 0 or look_back < 0:
            msg = "overlap and look_back must not be negative"
            raise ValueError(msg)
        if not all(isinstance(values, list) for values in self.where.values()):
            msg = 'where: give a list of values for each field, such as {"currency": ["NOK"]}'
            raise ValueError(msg)
        self.overlap = float(overlap)
        self.look_back = float(look_back)

    def arguments(self) -> dict[str, Any]:
        """Give the arguments as text, numbers and None."""
        return {
            "arm_conn_id": self.arm_conn_id,
            "client_no": self.client_no,
            "filters": as_text(self.filters),
            "where": as_text(self.where),
            "poll_interval": self.poll_interval,
            "overlap": self.overlap,
            "look_back": self.look_back,
        }

    def stream_key(self) -> tuple[str, ...]:
        """Name the poll: what is asked of ARM, and how often."""
        asked = [self.arm_conn_id, self.client_no, self.filters, self.poll_interval, self.overlap]
        return ("arm_new_ar_items", as_text(asked))

    def memory_key(self) -> str:
        """Name what this watcher has reported: another interval goes on with it, another choice begins anew."""
        import hashlib

        chosen = as_text([self.arm_conn_id, self.client_no, self.filters, self.where])
        return f"arm_new_ar_items_{hashlib.sha256(chosen.encode()).hexdigest()[:16]}"
