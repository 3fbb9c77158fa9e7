"""Request log: every request that reached the server, with personal data masked before it is stored."""

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
from airflow_provider_arm.sandbox.state.clock import SandboxClock, format_timestamp
from airflow_provider_arm.sandbox.state.store import Store

#: Maximum number of stored requests; the oldest are deleted.
MAX_STORED_REQUESTS = 100_000
#: Old requests are deleted once per this many requests.
_DELETE_INTERVAL = 1000

#: Bodies up to this size are stored (masked); of a larger body only its size is stored.
MAX_STORED_BODY_BYTES = 4096

MASK = "***"

#: Fields with personal data. Natural keys are not masked: without them no request can be found.
PERSONAL_FIELDS = frozenset(
    """
    name informalName phoneNo secondaryPhoneNo organizationNo dateOfBirth yearOfBirth ssn bankAccountNo postalAddress
    emailAddressDocument secondaryEmailAddress emailAddress einvoiceAddress efakturaBlockIds peppolBlockIds
    digipostBlockIds stopReminderMemo stopDebtCollectionMemo stopInterestCalcMemo customerMessage ledgerNote
    transactionText lineText
    """.split()  # noqa: SIM905 - shorter than a list
)

_ENVELOPE_KEYS = frozenset(
    {"metadata", "userId", "customer", "customers", "document", "documents"}
    | {"arItem", "autoPostings", "paymentReservation"}
)


def _field_names(fields: tuple[Field, ...]) -> set[str]:
    return {f.name for f in fields} | {name for f in fields for name in _field_names(f.fields)}


_KNOWN_FIELDS = _field_names((*CUSTOMER, *DOCUMENT, *AR_ITEM_UPDATE, *AUTO_POSTING, *PAYMENT_RESERVATION))

#: Only known fields without personal data are stored in clear text: a misspelt field could contain anything.
_UNMASKED_FIELDS = (_KNOWN_FIELDS | _ENVELOPE_KEYS) - PERSONAL_FIELDS

_PERSONAL_PARAMETERS = frozenset({"name", "organizationno"})

_COLUMNS = (
    *("n", "at", "method", "template", "path", "query", "status"),
    *("token", "fault", "bytes_in", "bytes_out", "user_agent", "body"),
)


class RequestLog:
    """Log of requests in the store."""

    def __init__(self, store: Store, clock: SandboxClock) -> None:
        self._store = store
        self._clock = clock

    def add(self, request: SandboxRequest, template: str, token_status: str, fault: str | None) -> None:
        """Assign the next number to *request*, and store it."""
        request.number = self._store.next_number("request")
        values = (
            request.number,
            format_timestamp(self._clock.now()),
            request.method,
            template,
            request.path,
            _mask_query(request.query),
            token_status,
            fault,
            len(request.body),
            request.headers.get("user-agent", ""),
            mask_body(request),
        )
        self._store.execute(
            "INSERT INTO request (n, at, method, template, path, query, token, fault, bytes_in, user_agent, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        if request.number % _DELETE_INTERVAL == 0:
            self._store.execute("DELETE FROM request WHERE n <= ?", (request.number - MAX_STORED_REQUESTS,))

    def record_response(self, number: int, status: int, bytes_out: int) -> None:
        """Store the response's status and size; without a response they stay ``None``."""
        self._store.execute("UPDATE request SET status = ?, bytes_out = ? WHERE n = ?", (status, bytes_out, number))

    def find(self, **filters: Any) -> list[dict[str, Any]]:
        """Return requests in order.

        :param filters: any column (method, template, path, status, token, fault, ...), ``after`` (only requests with a
            larger number) or ``last`` (only the last so many).
        :raises ValueError: an unknown filter.
        """
        conditions, values = ["1 = 1"], []
        last = filters.pop("last", None)
        after = filters.pop("after", None)
        for name, value in filters.items():
            if name not in _COLUMNS:
                raise ValueError(f"unknown filter {name!r}; the filters are {', '.join((*_COLUMNS, 'after', 'last'))}")
            conditions.append(f"{name} IS ?")
            values.append(value)
        if after is not None:
            conditions.append("n > ?")
            values.append(after)
        sql = f"SELECT {', '.join(_COLUMNS)} FROM request WHERE {' AND '.join(conditions)} ORDER BY n DESC LIMIT ?"  # noqa: S608
        rows = self._store.fetch_all(sql, (*values, -1 if last is None else int(last)))
        return [dict(zip(_COLUMNS, row, strict=True)) for row in reversed(rows)]


def mask_body(request: SandboxRequest) -> str:
    """Return the request's body with personal data masked, or only its size."""
    if not request.body:
        return ""
    if len(request.body) <= MAX_STORED_BODY_BYTES:
        if request.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
            return _mask_form(request.body.decode("utf-8", "replace"))
        try:
            return money.encode(_mask_value(money.decode(request.body))).decode()
        except (ValueError, RecursionError):
            pass
    return f"<{len(request.body)} bytes>"


def _mask_value(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(
            (key, _mask_value(item)) if key in _UNMASKED_FIELDS else (MASK, MASK) for key, item in value.items()
        )
    if isinstance(value, list):
        return [_mask_value(item) for item in value]
    return value


def _mask_form(form: str) -> str:
    pairs = [pair.partition("=") for pair in form.split("&")]
    return "&".join(name + equals + (value if name == "grant_type" else MASK) for name, equals, value in pairs)


def _mask_query(query: str) -> str:
    if not query:
        return ""
    pairs = [pair.partition("=") for pair in query.split("&")]
    return "&".join(
        f"{name}={MASK}" if name in _PERSONAL_PARAMETERS else name + equals + value for name, equals, value in pairs
    )
