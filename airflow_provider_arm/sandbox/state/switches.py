"""Every switch of the sandbox. A name that starts with ``qNN`` is a variant of that row of the working contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch: its values, the default first."""

    name: str
    meaning: str
    default: Any
    #: The other values, or the kind of value that is taken.
    allowed: tuple[Any, ...] | Literal["whole", "seconds", "text"]
    #: Row of the working contract, 0 where the switch belongs to none.
    row: int = 0


def _q(row: int, name: str, default: Any, allowed: Any, meaning: str) -> Switch:
    return Switch(f"q{row:02d}_{name}", meaning, default, allowed, row)


ON, OFF = True, False
ON_OFF = (ON, OFF)

SWITCHES = (
    _q(1, "submit_status", 202, (202, 200, 201), "status of the answer to a batch submit"),
    _q(1, "extra_keys", OFF, ON_OFF, "the answer to a batch submit has keys that nobody expects"),
    _q(1, "no_uuid", OFF, ON_OFF, "the answer to a batch submit has no batchUuid (the batch is stored)"),
    _q(2, "records_key", "", "text", "key of the records in a batch; empty: customers or documents"),
    _q(2, "counts", "present", ("present", "absent"), "the counts of a batch"),
    _q(2, "records_while_202", "present", ("present", "absent"), "whether an unfinished batch shows its records"),
    _q(3, "206_in_progress", OFF, ON_OFF, "206 while the second half of the records is still being processed"),
    _q(3, "failed_inside_200", OFF, ON_OFF, "a batch with failed records answers 200 PROCESSED"),
    _q(3, "unknown_status", "", "text", "a finished batch answers 200 with this status word"),
    _q(3, "reject_batches", OFF, ON_OFF, "every batch submitted from now on is rejected as a whole"),
    _q(3, "all_failed", 406, (406, 206), "status of a finished batch of which every record failed"),
    _q(4, "grace_seconds", 0, "seconds", "a batch answers 404 for this long after its submit"),
    _q(4, "grace_polls", 0, "whole", "a batch answers 404 to this many looks"),
    _q(5, "errors", "list", ("list", "absent", "several"), "the errors of a failed record"),
    _q(6, "error_body", "json", ("json", "empty", "html", "text"), "the body of every 4xx answer"),
    _q(7, "unknown_filter", "refuse", ("refuse", "ignore"), "a filter that ARM does not know"),
    _q(8, "plural_key", "", "text", "key of the records in a list; empty: customers, arItems, documents, glItems"),
    _q(9, "total", "capped", ("capped", "true"), "totalCount beyond the cap"),
    _q(10, "next_page", "null", ("null", "absent", "empty", "same", "extra_page"), "nextPage on the last page"),
    _q(11, "expire_after_pages", 0, "whole", "a query expires after it gave this many pages; 0: only by time"),
    _q(11, "expired_status", 410, (410, 404), "status for an expired query"),
    _q(11, "live_query", OFF, ON_OFF, "a query is run again for every page, so that rows shift"),
    _q(12, "empty_list", 200, (200, 404), "status of a list without records"),
    _q(13, "page_host", "", "text", "host (and port) in nextPage and lastPage; empty: the sandbox's own"),
    _q(14, "gzip", OFF, ON_OFF, "answers are compressed for a client that accepts it"),
    _q(15, "duplicate_document", "refuse", ("refuse", "accept"), "a documentNo that exists already"),
    _q(16, "max_records", 1000, "whole", "most records in one batch"),
    _q(
        17,
        "upsert_answer",
        "by_effect",
        ("by_effect", "created_200"),
        "POST of one customer: by effect, or always 200 CREATED",
    ),
    Switch("strict", "refuse unknown fields and wrong check digits", ON, ON_OFF),
    Switch("batch_delay", "seconds from a submit to its result", 0, "seconds"),
    Switch("pending_polls", "a batch answers 202 to this many looks, whatever the time", 0, "whole"),
    Switch("token_life", "seconds that a new token lives", 3600, "whole"),
    Switch("query_life", "seconds that a query lives", 600, "whole"),
)

_BY_NAME = {switch.name: switch for switch in SWITCHES}

_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off"}


class SwitchValues:
    """The switches as they stand."""

    def __init__(self, start: dict[str, Any] | None = None) -> None:
        self._start = {switch.name: switch.default for switch in SWITCHES}
        self._now = dict(self._start)
        self.change(start or {})
        self._start = dict(self._now)

    def __getitem__(self, name: str) -> Any:
        return self._now[name]

    def change(self, switches: dict[str, Any]) -> None:
        """Set switches, all or none.

        :raises ValueError: a name or a value that the table does not know.
        """
        self._now.update({name: _value(name, value) for name, value in switches.items()})

    def reset(self) -> None:
        """Back to the values of the start."""
        self._now = dict(self._start)

    def non_default(self) -> dict[str, Any]:
        """The switches that do not stand at their default."""
        return {switch.name: self._now[switch.name] for switch in SWITCHES if self._now[switch.name] != switch.default}

    def as_json(self) -> dict[str, Any]:
        """All switches by name."""
        return dict(self._now)


def _value(name: str, value: Any) -> Any:
    switch = _BY_NAME.get(name)
    if switch is None:
        msg = f"no switch {name!r}; there are: {', '.join(_BY_NAME)}"
        raise ValueError(msg)
    if switch.allowed == "text":
        if isinstance(value, str):
            return value
    elif switch.allowed in ("whole", "seconds"):
        number = _number(value, whole=switch.allowed == "whole")
        if number is not None and number >= 0:
            return number
    else:
        for allowed in switch.allowed:
            if _same(value, allowed):
                return allowed
    wants = ", ".join(map(str, switch.allowed)) if isinstance(switch.allowed, tuple) else f"a {switch.allowed} value"
    msg = f"{name} takes {wants}; not {value!r}"
    raise ValueError(msg)


def _number(value: Any, *, whole: bool) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return int(str(value)) if whole else float(value)
    except (TypeError, ValueError):
        return None


def _same(value: Any, allowed: Any) -> bool:
    if isinstance(allowed, bool):
        return value is allowed or (isinstance(value, str) and value.lower() in (_TRUE if allowed else _FALSE))
    return not isinstance(value, bool) and str(value).lower() == str(allowed).lower()
