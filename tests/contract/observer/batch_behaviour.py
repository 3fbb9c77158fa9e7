"""Behaviour of batches for which the client needs no entry: rows 1 to 5 of the working contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import BatchState
from airflow_provider_arm.client.http.redaction import mask
from tests.contract.observer.batches import lists_in
from tests.contract.observer.findings import rows_of

if TYPE_CHECKING:
    from tests.contract.observer.batches import BatchRun
    from tests.contract.observer.findings import Findings
    from tests.contract.observer.wire import RawResponse, Wire

_RECEIPT_KEYS = {"status", "batchUuid", "message", "clientNo"}
_COUNTS = ("totalCount", "processedCount", "failedCount")


def observe_batches(wire: Wire, findings: Findings, *, good: BatchRun, mixed: BatchRun, bad: BatchRun) -> None:
    """Record the behaviour that a batch of good records, one with a rejected record and one of rejected ones show."""
    _receipt(wire, findings, good)
    _not_found_after_submit(wire, findings, good)
    _pending_batch(wire, findings, good)
    _finished_batch(wire, findings, good)
    _counts(wire, findings, good)
    _failed_record(wire, findings, mixed)
    _all_records_failed(wire, findings, bad)


def message_of(response: RawResponse) -> str:
    """Return ARM's message without the data that was sent."""
    return mask(str(response.object.get("message") or ""), {"customerNo": "", "name": "Verify Real"})


def _receipt(wire: Wire, findings: Findings, run: BatchRun) -> None:
    response, how = run.submitted, "POST of a batch of customers"
    if not run.accepted:
        why = f"{how} was refused: {response.status} {message_of(response)}"
        findings.skip(why, *rows_of(1))
        return
    more = sorted(set(response.raw) - _RECEIPT_KEYS - {wire.readings.batch.uuid_key})
    findings.record("q01_submit_status", response.status, how)
    findings.record("q01_extra_keys", bool(more), f"{how}: {', '.join(more) or 'no additional keys'}")
    missing = not run.uuid
    next_step = "batches cannot be polled: ask Amili where the batchUuid is (batch.uuid_key)"
    findings.record("q01_no_uuid", missing, how, next_step if missing else "", client_refuses=missing)


def _not_found_after_submit(wire: Wire, findings: Findings, run: BatchRun) -> None:
    name = "q04_grace_polls"
    if run.last is None:
        findings.skip(run.why_undecided(), name)
        return
    how = f"poll {run.not_found_polls + 1} after the submit found the batch"
    next_step = "set batch.not_found_grace to 2 or more in the readings" if run.not_found_polls else ""
    findings.record(name, run.not_found_polls, how, next_step)


def _pending_batch(wire: Wire, findings: Findings, run: BatchRun) -> None:
    names = ("q02_records_while_202", "q03_206_in_progress")
    if not run.pending:
        why = run.why_undecided() if run.last is None else "the batch was finished at the first poll"
        findings.skip(why, *names)
        return
    response, codes = run.pending[0], wire.readings.batch
    how = f"an unfinished batch: {response.status} {mask(str(response.object.get('status', 'without a status')))}"
    is_pending = response.status in codes.pending_codes
    partial = set(codes.finished_codes) - set(codes.success_codes)
    unlisted = f"{response.status} for an unfinished batch"
    in_progress: Any = False if is_pending else True if response.status in partial else unlisted
    next_step = "nothing to do: the client continues to poll" if response.status in codes.success_codes else ""
    findings.record(names[1], in_progress, how, next_step)
    if is_pending:
        has_records = any(name not in {"errors", "warnings"} for name in lists_in(response.object))
        findings.record(names[0], "present" if has_records else "absent", how)
    else:
        findings.skip(how, names[0])


def _finished_batch(wire: Wire, findings: Findings, run: BatchRun) -> None:
    name = "q03_reject_batches"
    if run.last is None or run.status.state is BatchState.PENDING:
        findings.skip(run.why_undecided(), name)
        return
    state, how = run.status.state, f"a batch of good customers finished: {run.last.status} {run.status.reason}"
    if state is BatchState.INVALID_RESPONSE:
        next_step = "the client cannot read a finished batch: see classify_batch() in client/batch_state.py"
        findings.record_unlisted(name, run.status.reason, how, next_step)
    elif state is BatchState.REJECTED and not run.has_effect:
        next_step = "ARM rejects every batch: ask Amili why"
        findings.record(name, value=True, how=how, next_step=next_step, client_refuses=True)
    elif state is BatchState.SUCCEEDED:
        findings.record(name, value=False, how=how)
    else:
        findings.skip(how, name)


def _counts(wire: Wire, findings: Findings, run: BatchRun) -> None:
    name = "q02_counts"
    if run.last is None or not run.settled:
        findings.skip(run.why_undecided(), name)
        return
    how = "the body of a finished batch of customers"
    counts = [key for key in _COUNTS if isinstance(run.last.object.get(key), int)]
    if len(counts) in {0, len(_COUNTS)}:
        findings.record(name, "present" if counts else "absent", how)
    else:
        next_step = "nothing to do: the client counts the records"
        findings.record_unlisted(name, f"only {', '.join(counts)}", how, next_step)


def _failed_record(wire: Wire, findings: Findings, run: BatchRun) -> None:
    names = ("q03_failed_inside_200", "q05_errors")
    if why := run.why_undecided():
        findings.skip(why, *names)
        return
    failed = [record for record in run.status.records if run.status.is_rejected(record)]
    how = f"a batch with a nameless customer finished: {run.status.reason}"
    if run.last is None or not failed or run.status.state is not BatchState.PARTIAL:
        findings.skip(how, *names)
        return
    is_success = run.last.status in wire.readings.batch.success_codes
    findings.record(names[0], is_success, f"{how} ({run.last.status})")
    errors = (failed[0].model_extra or {}).get("errors", failed[0].errors)
    if not errors:
        findings.record(names[1], "absent", how)
    elif all(each.field is not None and each.message is not None for each in errors):
        findings.record(names[1], "list" if len(errors) == 1 else "several", how)
    else:
        next_step = "the reasons in the rejects file stay empty: see FieldMessage in client/models/write.py"
        findings.record_unlisted(names[1], "errors of another structure", how, next_step)


def _all_records_failed(wire: Wire, findings: Findings, run: BatchRun) -> None:
    name = "q03_all_failed"
    if run.why_undecided() or run.last is None:
        findings.skip(run.why_undecided(), name)
    elif run.status.state is not BatchState.REJECTED:
        findings.skip(f"a batch of nameless customers finished: {run.status.reason}", name)
    elif findings["q03_reject_batches"].value is True:
        findings.skip("every batch is rejected as a whole", name)
    elif run.last.status in wire.readings.batch.success_codes:
        how = f"a batch of nameless customers finished: {run.last.status} with failed records"
        findings.record("q03_failed_inside_200", value=True, how=how)
        findings.skip("a successful response contains the failed records", name)
    else:
        code = 406 if run.last.status in wire.readings.batch.rejected_codes else 206
        findings.record(name, code, f"a batch of nameless customers finished: {run.status.reason}")
