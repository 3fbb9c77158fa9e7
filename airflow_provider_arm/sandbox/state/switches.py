"""Switches of the sandbox. A switch whose name starts with ``qNN`` is a variant of row NN of the working contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Switch:
    """Definition of one switch."""

    name: str
    meaning: str
    default: Any
    #: The allowed values, or the kind of value that is accepted.
    allowed: tuple[Any, ...] | Literal["integer", "seconds", "text"]
    #: Row of the working contract; 0: none.
    row: int = 0


def _variant(row: int, name: str, default: Any, allowed: Any, meaning: str) -> Switch:
    return Switch(f"q{row:02d}_{name}", meaning, default, allowed, row)


#: Seconds from the submit of a batch to its result. ARM's reference says that a batch is not processed immediately,
#: but not how long it takes: a caller that reads a batch without waiting for it must fail here, too, and a person who
#: tries things must not wait long.
BATCH_DELAY = 1.0

ON, OFF = True, False
ON_OFF = (ON, OFF)

SWITCHES = (
    _variant(1, "submit_status", 202, (202, 200, 201), "status of the response to a batch submit"),
    _variant(1, "extra_keys", OFF, ON_OFF, "the response to a batch submit has additional keys"),
    _variant(1, "no_uuid", OFF, ON_OFF, "the response to a batch submit has no batchUuid (the batch is stored)"),
    _variant(2, "records_key", "", "text", "key of the records in a batch; empty: customers or documents"),
    _variant(2, "counts", "present", ("present", "absent"), "whether a batch has its counts"),
    _variant(2, "records_while_202", "present", ("present", "absent"), "whether an unfinished batch has its records"),
    _variant(3, "206_in_progress", OFF, ON_OFF, "206 while the second half of the records is still being processed"),
    _variant(3, "failed_inside_200", OFF, ON_OFF, "a batch with failed records returns 200 PROCESSED"),
    _variant(3, "unknown_status", "", "text", "a finished batch returns 200 with this status"),
    _variant(3, "reject_batches", OFF, ON_OFF, "every batch submitted from now on is rejected as a whole"),
    _variant(3, "all_failed", 406, (406, 206), "status of a finished batch whose records all failed"),
    _variant(4, "grace_seconds", 0, "seconds", "seconds after the submit during which a batch returns 404"),
    _variant(4, "grace_polls", 0, "integer", "number of polls for which a batch returns 404"),
    _variant(5, "errors", "list", ("list", "absent", "several"), "the errors of a failed record"),
    _variant(6, "error_body", "json", ("json", "empty", "html", "text"), "the body of every 4xx response"),
    _variant(7, "unknown_filter", "refuse", ("refuse", "ignore"), "how an unknown filter is handled"),
    _variant(
        8, "plural_key", "", "text", "key of the records in a list; empty: customers, arItems, documents, glItems"
    ),
    _variant(9, "total", "capped", ("capped", "true"), "totalCount beyond the cap"),
    _variant(10, "next_page", "null", ("null", "absent", "empty", "same", "extra_page"), "nextPage on the last page"),
    _variant(11, "expire_after_pages", 0, "integer", "a query expires after this many pages; 0: only by time"),
    _variant(11, "expired_status", 410, (410, 404), "status of a request for an expired query"),
    _variant(11, "live_query", OFF, ON_OFF, "a query is executed again for every page, so that rows shift"),
    _variant(12, "empty_list", 200, (200, 404), "status of a list without records"),
    _variant(13, "page_host", "", "text", "host (and port) in nextPage and lastPage; empty: the sandbox's own"),
    _variant(14, "gzip", OFF, ON_OFF, "responses are compressed for a client that accepts it"),
    _variant(
        15, "duplicate_document", "refuse", ("refuse", "accept"), "how a documentNo that exists already is handled"
    ),
    _variant(16, "max_records", 1000, "integer", "maximum number of records in one batch"),
    _variant(
        17,
        "upsert_response",
        "by_effect",
        ("by_effect", "created_200"),
        "response to POST of one customer: by effect, or always 200 CREATED",
    ),
    Switch("strict", "refuse unknown fields and wrong check digits", ON, ON_OFF),
    Switch("batch_delay", "seconds from the submit of a batch to its result", BATCH_DELAY, "seconds"),
    Switch("pending_polls", "number of polls for which a batch returns 202, even after its delay", 0, "integer"),
    Switch("token_life", "seconds until a new token expires", 3600, "integer"),
    Switch("query_life", "seconds until a query expires", 600, "integer"),
)

_BY_NAME = {switch.name: switch for switch in SWITCHES}

_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off"}


class SwitchValues:
    """Current values of all switches. *start* has the values that :meth:`reset` restores."""

    def __init__(self, start: dict[str, Any] | None = None) -> None:
        self._start = {switch.name: switch.default for switch in SWITCHES}
        self._values = dict(self._start)
        self.change(start or {})
        self._start = dict(self._values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def change(self, switches: dict[str, Any]) -> None:
        """Set all of *switches*, or none; raise ValueError if a name is unknown or a value is not allowed."""
        self._values.update({name: _parse_value(name, value) for name, value in switches.items()})

    def reset(self) -> None:
        """Restore the start values."""
        self._values = dict(self._start)

    def non_default(self) -> dict[str, Any]:
        """Return the switches whose value is not the default."""
        return {s.name: self._values[s.name] for s in SWITCHES if self._values[s.name] != s.default}

    def as_json(self) -> dict[str, Any]:
        """Return the values of all switches by name."""
        return dict(self._values)


def _parse_value(name: str, value: Any) -> Any:
    switch = _BY_NAME.get(name)
    if switch is None:
        raise ValueError(f"unknown switch {name!r}; the switches are {', '.join(_BY_NAME)}")
    if switch.allowed == "text":
        if isinstance(value, str):
            return value
    elif switch.allowed in ("integer", "seconds"):
        number = _parse_number(value, integer=switch.allowed == "integer")
        if number is not None and number >= 0:
            return number
    else:
        for allowed in switch.allowed:
            if _matches(value, allowed):
                return allowed
    kinds = {"integer": "a whole number, 0 or more", "seconds": "a number, 0 or more", "text": "text"}
    if isinstance(switch.allowed, str):
        expected = kinds[switch.allowed]
    else:
        expected = f"one of {', '.join(map(str, switch.allowed))}"
    raise ValueError(f"{name} must be {expected}; not {value!r}")


def _parse_number(value: Any, *, integer: bool) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return int(str(value)) if integer else float(value)
    except (TypeError, ValueError):
        return None


def _matches(value: Any, allowed: Any) -> bool:
    if isinstance(allowed, bool):
        return value is allowed or (isinstance(value, str) and value.lower() in (_TRUE if allowed else _FALSE))
    return not isinstance(value, bool) and str(value).lower() == str(allowed).lower()
