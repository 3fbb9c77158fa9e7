"""Assumptions about what ARM's reference leaves open: all of them are here, and each can be overridden.

Each field has the number of its question in the working contract. If one of them turns out to be wrong, pass other
``Assumptions(...)`` to the client. Importing this module loads nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

#: ARM's base URLs. The one of staging is documented.
STAGING_BASE_URL = "https://api.staging.amili.no/arm/v1"
PRODUCTION_BASE_URL = "https://api.amili.no/arm/v1"  # assumed

#: URL of the token service by API host. The services are documented in the guide of Amili's other API;
#: that ARM accepts their tokens is assumed.
TOKEN_URLS = {
    "api.staging.amili.no": "https://auth.staging.amili.no/token",  # assumed
    "api.amili.no": "https://auth.amili.no/token",  # assumed
}

#: Headers that may contain ARM's identifier of a request; the reference shows none.
REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-correlation-id", "traceparent")  # assumed

#: The two filters of a window of days, by the value of ``DateWindow(by=...)``. Both bounds are inclusive.
WINDOW_FILTERS = {  # assumed (Q7)
    "voucherdate": ("fromvoucherdate", "tovoucherdate"),
    "duedate": ("fromduedate", "toduedate"),
    "createdtime": ("fromcreatedtime", "tocreatedtime"),
    "documentdate": ("fromdocumentdate", "todocumentdate"),
}


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Readings of ARM's reference that the client follows. Statuses are compared without regard to case."""

    #: Statuses of a batch, or of a record in it, that is not finished.
    pending_statuses: frozenset[str] = frozenset({"RECEIVED", "ACCEPTED", "PROCESSING"})  # assumed (Q3)
    #: Statuses that mean success; ``PROCESSED`` is documented for responses to writes.
    success_statuses: frozenset[str] = frozenset({"PROCESSED"})  # assumed for batches (Q3)
    #: Statuses of a finished batch with some failed records.
    partial_statuses: frozenset[str] = frozenset({"PARTIAL"})  # assumed (Q3)
    #: Statuses that mean failure; ``FAILED`` is documented for responses to writes.
    failure_statuses: frozenset[str] = frozenset({"FAILED", "REJECTED"})  # assumed for batches (Q3)
    #: Seconds after a submission in which ARM may still answer 404 for its batch.
    batch_not_found_grace: float = 0.0  # assumed (Q4)
    #: Whether ARM answers 404 for an empty list. False, because it answers the same for a wrong client number.
    empty_list_is_404: bool = False  # assumed (Q12)
    #: HTTP statuses for a page of a list whose query ARM no longer keeps.
    expired_query_codes: frozenset[int] = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})  # assumed (Q11)
    #: Whether ARM checks the token before it accepts a request, so that a 401 proves that the call had no effect.
    checks_token_first: bool = True  # assumed


DEFAULT_ASSUMPTIONS = Assumptions()
