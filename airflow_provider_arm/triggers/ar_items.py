"""Event trigger for new AR items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.argument_readers import seconds
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.triggers.event_stream import ArmEventTrigger, as_mapping, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Seconds between polls: a DAG run every five minutes is frequent enough for people who read the results.
DEFAULT_POLL_INTERVAL = 300.0
#: Seconds after its created time until an item is visible at the latest; also the largest difference of the clocks.
DEFAULT_OVERLAP = 600.0
#: Query parameters (documented) that the trigger sets itself, beside the filters of created times.
OWN_PARAMETERS = frozenset({"pageno", "query", "maximumcount", "pagesize"})


class NewArItemsEventTrigger(ArmEventTrigger):
    """Event trigger, for an ``AssetWatcher``, that sends an event when ARM has AR items that it has not reported yet.

    It polls ``GET /clients/{clientno}/aritems`` by created time. One event per poll that finds new items::

        {"count": 3, "from": "2025-02-27T17:03:36.176+01:00", "to": "2025-02-27T17:05:02.410+01:00",
         "totals": {"NOK": {"currencyAmount": "1875", "currencyBalance": "1250"}}}

    ``from`` and ``to`` are the first and last created time of the new items, as ARM wrote them; amounts are exact, as
    text. The event contains no record and no key. After downtime there may be several events, the oldest first.

    In Airflow 3.3 and later the reported items are stored with the asset, so that a restart loses nothing. An event is
    sent twice only if the triggerer dies in the second or two between the storing of the event and of the reported
    items. Before 3.3, polling starts *look_back* before the time of a restart.

    :param arm_conn_id: connection of type ``arm``; default ``arm_default``.
    :param client_no: the ARM client; default the connection's.
    :param filters: ARM's own filters, passed through, such as ``{"customerno": "543210"}``.
    :param where: report only items with one of these values, by ARM's name of the field, such as
        ``{"voucherType": [1]}``. Evaluated here, not by ARM, so that watchers that differ only in it share one poll.
        Default: all items.
    :param poll_interval: seconds between polls; default 300.
    :param overlap: seconds after its created time until an item is visible at the latest; default 600. Items of that
        time are listed again in the next poll, 5,000 at most.
    :param look_back: seconds before the first poll from which items are reported; default 0.
    :raises ValueError: an invalid filter or number.
    """

    implementation_module: ClassVar[str] = "airflow_provider_arm.triggers.polling.new_items_poller"

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
        if own := sorted(OWN_PARAMETERS & set(self.filters)):
            raise ValueError(f"filters must not contain {', '.join(own)}: the trigger sets these parameters")
        if not all(isinstance(values, list) for values in self.where.values()):
            raise ValueError('where needs a list of values for each field, such as {"currency": ["NOK"]}')
        self.overlap = float(seconds()("overlap", overlap))
        self.look_back = float(seconds()("look_back", look_back))

    def arguments(self) -> dict[str, Any]:
        """Return the arguments as text, numbers and None."""
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
        """Return the key of the poll: what it requests from ARM, and how often."""
        request = [self.arm_conn_id, self.client_no, self.filters, self.poll_interval, self.overlap]
        return ("arm_new_ar_items", as_text(request))

    def store_key(self) -> str:
        """Return the key of the reported items: another interval continues with them, another selection starts anew."""
        import hashlib

        selection = as_text([self.arm_conn_id, self.client_no, self.filters, self.where])
        return f"arm_new_ar_items_{hashlib.sha256(selection.encode()).hexdigest()[:16]}"
