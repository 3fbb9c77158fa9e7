"""What ARM's reference does not say and we had to conclude: the one place, and overridable.

Each field carries the number of its question in the working contract. A client takes its own
``Assumptions(...)`` where one of them turns out wrong. Importing this module loads nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

#: ARM's base URL in production; the staging one is documented.
STAGING_BASE_URL = "https://api.staging.amili.no/arm/v1"
PRODUCTION_BASE_URL = "https://api.amili.no/arm/v1"  # assumed

#: The token call that belongs to an API host. The services are documented in the sibling API's guide;
#: that ARM takes their tokens is assumed.
TOKEN_URLS = {
    "api.staging.amili.no": "https://auth.staging.amili.no/token",  # assumed
    "api.amili.no": "https://auth.amili.no/token",  # assumed
}

#: Headers that may carry ARM's own name for a request; the reference shows none.
REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-correlation-id", "traceparent")  # assumed

#: Which two filters bound a window of days, by the name that ``DateWindow(by=...)`` takes. Both bounds are inclusive.
WINDOW_FILTERS = {  # assumed (Q7)
    "voucherdate": ("fromvoucherdate", "tovoucherdate"),
    "duedate": ("fromduedate", "toduedate"),
    "createdtime": ("fromcreatedtime", "tocreatedtime"),
    "documentdate": ("fromdocumentdate", "todocumentdate"),
}


@dataclass(frozen=True, slots=True)
class Assumptions:
    """The readings of ARM that decide what the client does. Words are compared without regard to case."""

    #: Status words of a batch, or of a record in it, that is not finished.
    pending_statuses: frozenset[str] = frozenset({"RECEIVED", "ACCEPTED", "PROCESSING"})  # assumed (Q3)
    #: Status words that mean success; ``PROCESSED`` is the one that the write answers document.
    success_statuses: frozenset[str] = frozenset({"PROCESSED"})  # assumed for batches (Q3)
    #: Status word of a finished batch of which some records failed.
    partial_statuses: frozenset[str] = frozenset({"PARTIAL"})  # assumed (Q3)
    #: Status words that mean failure; ``FAILED`` is documented for write answers.
    failure_statuses: frozenset[str] = frozenset({"FAILED", "REJECTED"})  # assumed for batches (Q3)
    #: Seconds after a submit in which a batch may still be unknown (404).
    batch_not_found_grace: float = 0.0  # assumed (Q4)
    #: Whether ARM answers an empty list with 404. Off, because a wrong client number is answered the same way.
    empty_list_is_404: bool = False  # assumed (Q12)
    #: Answers that say, in the middle of a list, that the server no longer keeps the query.
    expired_query_codes: frozenset[int] = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})  # assumed (Q11)
    #: Whether ARM checks the token before it takes a request, so that a 401 proves that nothing happened.
    checks_token_first: bool = True  # assumed


DEFAULT_ASSUMPTIONS = Assumptions()
