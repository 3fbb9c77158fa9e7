"""One observation of an ARM, from the token call to the writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.observer.entries import (
    observe_empty_list,
    observe_lists,
    observe_paths,
    observe_token,
    observe_windows,
    read_lists,
)
from tests.contract.observer.findings import entries_of, rows_of
from tests.contract.observer.reads import observe_reads

if TYPE_CHECKING:
    from tests.contract.observer.findings import Findings
    from tests.contract.observer.wire import Wire
    from tests.contract.observer.writes import Writes


def observe(wire: Wire, findings: Findings, writes: Writes | None, wait_for_expiry: float) -> None:
    """Record a finding for every entry of the profile and every behaviour.

    The profile of *wire* is replaced by what is observed.

    :param writes: None: read only.
    :param wait_for_expiry: seconds to wait for a query to expire; 0: do not wait.
    :raises WireError: no token, no response, or no list that can be read.
    """
    observe_token(wire, findings)
    observe_windows(wire, findings, observe_lists(wire, findings))
    observe_empty_list(wire, findings, read_lists(wire).values())
    observe_paths(wire, findings)
    observe_reads(wire, findings, read_lists(wire), wait_for_expiry)
    if writes is not None:
        writes.check()
        writes.observe()
    else:
        entries = entries_of("batch.", "write.", "record_keys.", "calls.checks_token_first")
        findings.skip("needs ARM_REAL_WRITE=yes", *rows_of(1, 2, 3, 4, 5, 17), "q11_live_query", *entries)
        findings.skip("needs ARM_REAL_WRITE=documents", *rows_of(15))
    findings.skip("uploads cannot be undone", *entries_of("files."))
    statuses = ", ".join(map(str, wire.temporary_errors))
    suffix = f"; statuses that occurred: {statuses}" if statuses else ""
    findings.skip(f"a client cannot cause faults{suffix}", "q14 faults")
    wire.readings = findings.readings
