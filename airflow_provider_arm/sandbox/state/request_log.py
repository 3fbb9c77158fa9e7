"""The request journal: every request that reached the server, with personal data masked before it is written down."""

from __future__ import annotations

from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.messages import SandboxRequest
from airflow_provider_arm.sandbox.record_fields import (
    AR_ITEM_UPDATE,
    AUTO_POSTING,
    CUSTOMER,
    DOCUMENT,
    PAYMENT_RESERVATION,
    Field,
)
from airflow_provider_arm.sandbox.state.clock import SandboxClock, stamp
from airflow_provider_arm.sandbox.state.store import Store

#: The journal forgets the oldest requests beyond this many.
KEPT = 100_000
#: How often it looks whether there is something to forget.
_FORGET_EVERY = 1000

#: Bodies up to this size are kept (masked); of larger ones only the size.
BODY_LIMIT = 4096

MASK = "***"

#: Fields that say something about a person. Natural keys stay: without them no request can be found.
PERSONAL = frozenset(
    {
        "name",
        "informalName",
        "phoneNo",
        "secondaryPhoneNo",
        "organizationNo",
        "dateOfBirth",
        "yearOfBirth",
        "ssn",
        "bankAccountNo",
        "postalAddress",
        "emailAddressDocument",
        "secondaryEmailAddress",
        "emailAddress",
        "einvoiceAddress",
        "efakturaBlockIds",
        "peppolBlockIds",
        "digipostBlockIds",
        "stopReminderMemo",
        "stopDebtCollectionMemo",
        "stopInterestCalcMemo",
        "customerMessage",
        "ledgerNote",
        "transactionText",
        "lineText",
    }
)

_ENVELOPE = frozenset(
    {"metadata", "userId", "customer", "customers", "document", "documents"}
    | {"arItem", "autoPostings", "paymentReservation"}
)


def _names(fields: tuple[Field, ...]) -> set[str]:
    return {f.name for f in fields} | {name for f in fields for name in _names(f.fields)}


#: Only what is known and says nothing about a person is shown: a misspelt field could hold anything.
_SHOWN = (_names((*CUSTOMER, *DOCUMENT, *AR_ITEM_UPDATE, *AUTO_POSTING, *PAYMENT_RESERVATION)) | _ENVELOPE) - PERSONAL

_PERSONAL_PARAMETERS = frozenset({"name", "organizationno"})

_COLUMNS = (
    *("n", "at", "method", "template", "path", "query", "status"),
    *("token", "fault", "bytes_in", "bytes_out", "user_agent", "body"),
)


class RequestLog:
    """Writes requests down and finds them again."""

    def __init__(self, store: Store, clock: SandboxClock) -> None:
        self._store = store
        self._clock = clock

    def open(self, call: SandboxRequest, template: str, token: str, fault: str | None) -> None:
        """A request has come in: give it its number."""
        call.number = self._store.number("request")
        values = (
            call.number,
            stamp(self._clock.now()),
            call.method,
            template,
            call.path,
            _masked_query(call.query),
            token,
            fault,
            len(call.body),
            call.headers.get("user-agent", ""),
            masked_body(call),
        )
        self._store.execute(
            "INSERT INTO request (n, at, method, template, path, query, token, fault, bytes_in, user_agent, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        if call.number % _FORGET_EVERY == 0:
            self._store.execute("DELETE FROM request WHERE n <= ?", (call.number - KEPT,))

    def close(self, number: int, status: int, bytes_out: int) -> None:
        """The request has been answered; one that never was keeps ``None``."""
        self._store.execute("UPDATE request SET status = ?, bytes_out = ? WHERE n = ?", (status, bytes_out, number))

    def find(self, **filters: Any) -> list[dict[str, Any]]:
        """Requests in order, by any of: method, template, path, status, token, fault, after (a number), last (a count).

        :raises ValueError: an unknown filter.
        """
        conditions, values = ["1 = 1"], []
        last = filters.pop("last", None)
        after = filters.pop("after", None)
        for name, value in filters.items():
            if name not in _COLUMNS:
                msg = f"no filter {name!r}; there are: {', '.join((*_COLUMNS, 'after', 'last'))}"
                raise ValueError(msg)
            conditions.append(f"{name} IS ?")
            values.append(value)
        if after is not None:
            conditions.append("n > ?")
            values.append(after)
        sql = f"SELECT {', '.join(_COLUMNS)} FROM request WHERE {' AND '.join(conditions)} ORDER BY n DESC LIMIT ?"  # noqa: S608
        rows = self._store.fetch_all(sql, (*values, -1 if last is None else int(last)))
        return [dict(zip(_COLUMNS, row, strict=True)) for row in reversed(rows)]


def masked_body(call: SandboxRequest) -> str:
    """The body as it may be written down."""
    if not call.body:
        return ""
    if len(call.body) <= BODY_LIMIT:
        if call.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
            return _masked_form(call.body.decode("utf-8", "replace"))
        try:
            return money.encode(_mask(money.decode(call.body))).decode()
        except (ValueError, RecursionError):
            pass
    return f"<{len(call.body)} bytes>"


def _mask(value: Any) -> Any:
    if isinstance(value, dict):
        return dict((key, _mask(item)) if key in _SHOWN else (MASK, MASK) for key, item in value.items())
    if isinstance(value, list):
        return [_mask(item) for item in value]
    return value


def _masked_form(form: str) -> str:
    parts = [part.partition("=") for part in form.split("&")]
    return "&".join(name + eq + (value if name == "grant_type" else MASK) for name, eq, value in parts)


def _masked_query(query: str) -> str:
    if not query:
        return ""
    parts = [part.partition("=") for part in query.split("&")]
    return "&".join(
        f"{name}={MASK}" if name in _PERSONAL_PARAMETERS else name + eq + value for name, eq, value in parts
    )
