"""Observation of the rows of the working contract that need writes: 1 to 5, 15 to 17, and ``live_query`` of row 11."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Any

from verify_real_batches import BatchRun, poll_until_finished, records_of, run_batch
from verify_real_readings import rows_of
from verify_real_reads import rows_in, summary_of
from verify_real_wire import WireError

from airflow_provider_arm.client import BatchState
from airflow_provider_arm.client.http.redaction import mask
from airflow_provider_arm.client.readings import DEFAULT_READINGS

if TYPE_CHECKING:
    from verify_real_readings import Readings
    from verify_real_wire import Numbers, RawResponse, Wire

OK, CREATED, ACCEPTED, PARTIAL_CONTENT, NOT_FOUND = 200, 201, 202, 206, 404
_SUCCESSES = range(200, 300)
_RECEIPT_KEYS = {"status", "batchUuid", "message", "clientNo"}
_COUNTS = ("totalCount", "processedCount", "failedCount")

#: Records in the largest batch that is sent: one more than the largest limit of the contract.
_MOST = 5001
#: The default ``chunk_size`` of BatchSubmitOperator.
_CHUNK = 500


class Writes:
    """Writes of test customers and test documents, and the readings that they show.

    :param batch_timeout: seconds that a batch may take.
    """

    def __init__(self, wire: Wire, readings: Readings, numbers: Numbers, batch_timeout: float) -> None:
        self._wire, self._readings, self._batch_timeout = wire, readings, batch_timeout
        self.single, self.between, self.batch, self.bad, self.debtor = (numbers.new() for _ in range(5))
        self.document = numbers.new()
        self._documents = wire.target.write == "documents"
        self._runs: list[BatchRun] = []
        #: After :meth:`observe`: customers that may still exist.
        self.not_deleted: list[str] = []

    @property
    def customers(self) -> list[str]:
        """The numbers of all customers that may be created."""
        return [self.single, self.between, self.batch, self.bad, *([self.debtor] if self._documents else [])]

    def plan(self) -> list[str]:
        """Return what will be written, one line each."""
        lines = [
            f"customer {self.single}: created and updated by POST, updated by batches of up to {_MOST} records",
            f"customer {self.between}: created by POST between two pages of a list",
            f"customer {self.batch}: created by a batch (POST)",
            f"customer {self.bad}: sent in batches without a name, should be rejected",
        ]
        if self._documents:
            lines.append(f"customer {self.debtor}: created by POST")
            lines.append(f"document {self.document} of {self.debtor}, 1.00 NOK: posted twice, CANNOT BE DELETED")
        return [*lines, "then all these customers are deleted, except a customer with a document, which ARM keeps"]

    def check(self) -> None:
        """Check that all numbers are unused.

        :raises WireError: a number is in use, or may be.
        """
        for number in self.customers:
            self._check_free("customers", number)
        if self._documents:
            self._check_free("documents", self.document)

    def _check_free(self, resource: str, number: str) -> None:
        status = self._wire.get(resource, number).status
        if status != NOT_FOUND:
            why = f"GET {resource}/{number} returned {status}, not 404: nothing was written; use another prefix"
            raise WireError(why)

    def observe(self) -> None:
        """Write, record the readings, and delete the customers even after an error."""
        try:
            if not self._upsert():
                return
            with self._readings.guard("q11_live_query"):
                self._live_query()
            with self._readings.guard(*rows_of(1, 2, 3, 4, 5)):
                self._batches()
            with self._readings.guard("q16_max_records"):
                self._largest_batch()
            with self._readings.guard("q15_duplicate_document"):
                self._duplicate_document()
        finally:
            self.not_deleted = self._delete_customers()

    # -- row 17 -------------------------------------------------------------------------------------------------------

    def _customer(self, number: str) -> dict[str, Any]:
        return {"customerNo": number, "name": "Verify Real"}

    def _post(self, number: str) -> RawResponse:
        return self._wire.write("POST", "customers", "customer", self._customer(number))

    def _upsert(self) -> bool:
        first = self._post(self.single)
        if first.status not in _SUCCESSES:
            why = f"no customer can be created: {first.status} {self._message(first)}"
            self._readings.skip(why, *rows_of(1, 2, 3, 4, 5, 15, 16, 17), "q11_live_query")
            return False
        pairs = [(response.status, response.object.get("result")) for response in (first, self._post(self.single))]
        how = "POST of a new customer: {} {}; again: {} {}".format(*pairs[0], *pairs[1])
        known_status = str(first.object.get("status")).upper() in DEFAULT_READINGS.write.success_words
        if pairs == [(CREATED, "CREATED"), (OK, "UPDATED")]:
            self._readings.record("q17_upsert_response", "by_effect", how)
        elif pairs == [(OK, "CREATED")] * 2:
            self._readings.record("q17_upsert_response", "created_200", how)
        elif known_status and all(status in {OK, CREATED} for status, _ in pairs):
            self._readings.record_mixed("q17_upsert_response", "mixed", how)
        else:
            next_step = "" if known_status else "add the status to write.success_words in the readings"
            what = " / ".join(f"{code} {result}" for code, result in pairs)
            self._readings.record_unlisted("q17_upsert_response", what, how, next_step)
        return True

    def _message(self, response: RawResponse) -> str:
        return mask(str(response.object.get("message") or ""), self._customer(""))

    # -- row 11 -------------------------------------------------------------------------------------------------------

    def _live_query(self) -> None:
        first = self._wire.get("customers", pagesize=5)
        kept = {"query": summary_of(first).get("queryId", ""), "pageno": 1}
        last = {**kept, "pageno": summary_of(first).get("totalPages") or 1}
        before = [first, self._wire.get("customers", **last)]
        self._post(self.between)
        after = [self._wire.get("customers", **kept), self._wire.get("customers", **last)]
        if any(response.status != OK for response in before + after):
            statuses = ", ".join(str(response.status) for response in before + after)
            self._readings.skip(f"pages of one query of customers returned {statuses}", "q11_live_query")
            return
        live = [*map(_customer_numbers, before)] != [*map(_customer_numbers, after)]
        how = "first and last page of one query of customers, before and after a customer was created"
        next_step = "rows shift while a list is read: export windows that have ended, filtered by a closed period"
        self._readings.record("q11_live_query", live, how, next_step if live else "")

    # -- rows 1 to 5 --------------------------------------------------------------------------------------------------

    def _run(self, resource: str, *records: dict[str, Any]) -> BatchRun:
        run = run_batch(self._wire, resource, list(records), self._batch_timeout)
        self._runs.append(run)
        return run

    def _batches(self) -> None:
        good = self._run("customers", self._customer(self.single), self._customer(self.batch))
        self._receipt(good)
        self._not_found_after_submit(good)
        self._pending_batch(good)
        self._finished_batch(good)
        self._batch_body(good)
        mixed = self._run("customers", self._customer(self.single), {"customerNo": self.bad})
        self._batch_body(mixed)
        self._failed_record(mixed)
        self._all_records_failed(self._run("customers", {"customerNo": self.bad}))

    def _receipt(self, run: BatchRun) -> None:
        response, how = run.submitted, "POST of a batch of 2 customers"
        if not run.accepted:
            why = f"{how} was refused: {response.status} {self._message(response)}"
            self._readings.skip(why, *rows_of(1))
            return
        more = sorted(set(response.object) - _RECEIPT_KEYS)
        self._readings.record("q01_submit_status", response.status, how)
        self._readings.record("q01_extra_keys", bool(more), f"{how}: {', '.join(more) or 'no additional keys'}")
        missing = not run.uuid
        next_step = "batches cannot be polled: ask Amili where the batchUuid is (BatchReceipt in client/models)"
        self._readings.record("q01_no_uuid", missing, how, next_step if missing else "", client_refuses=missing)

    def _not_found_after_submit(self, run: BatchRun) -> None:
        names = ("q04_grace_polls", "q04_grace_seconds")
        if run.last is None:
            self._readings.skip(run.why_undecided(), *names)
            return
        how = f"poll {run.not_found_polls + 1} after the submit found the batch"
        if run.not_found_seconds:
            how = f"polls every second: the batch was found {run.not_found_seconds:g} s after its submit"
        values = (run.not_found_polls, run.not_found_seconds)
        for name, value in zip(names, values, strict=True):
            grace = max(1, run.not_found_seconds)
            next_step = f"set batch.not_found_grace to {grace * 2:g} or more in the readings" if value else ""
            self._readings.record(name, value, how, next_step)

    def _pending_batch(self, run: BatchRun) -> None:
        names = ("q02_records_while_202", "q03_206_in_progress")
        response = run.pending
        if response is None:
            why = run.why_undecided() if run.last is None else "the batch was finished at the first poll"
            self._readings.skip(why, *names)
            return
        how = f"an unfinished batch: {response.status} {mask(str(response.object.get('status', 'without a status')))}"
        unlisted = f"{response.status} for an unfinished batch"
        in_progress: Any = {ACCEPTED: False, PARTIAL_CONTENT: True}.get(response.status, unlisted)
        next_step = "nothing to do: the client continues to poll" if response.status == OK else ""
        self._readings.record(names[1], in_progress, how, next_step)
        if response.status == ACCEPTED:
            self._readings.record(names[0], "present" if records_of(response)[1] else "absent", how)
        else:
            self._readings.skip(how, names[0])

    def _finished_batch(self, run: BatchRun) -> None:
        names = ("q03_unknown_status", "q03_reject_batches")
        if run.last is None or run.status.state is BatchState.PENDING:
            self._readings.skip(run.why_undecided(), *names)
            return
        state, how = run.status.state, f"a batch of 2 good customers finished: {run.last.status} {run.status.reason}"
        if state is BatchState.INVALID_RESPONSE:
            word = str(run.last.object.get("status") or "")
            batch = DEFAULT_READINGS.batch
            known = {*batch.success_words, *batch.partial_words, *batch.failure_words}
            if word and word.upper() not in known and run.last.status == OK:
                next_step = f"if it means success, add {mask(word)} to batch.success_words in the readings"
                self._readings.record(names[0], mask(word), how, next_step, client_refuses=True)
            else:
                next_step = "the client cannot read a finished batch: see classify_batch() in client/batch_state.py"
                self._readings.record_unlisted(names[0], run.status.reason, how, next_step)
            self._readings.skip(run.why_undecided(), names[1])
            return
        self._readings.record(names[0], "", how)
        if state is BatchState.REJECTED and not records_of(run.last)[1]:
            next_step = "ARM rejects every batch: ask Amili why"
            self._readings.record(names[1], value=True, how=how, next_step=next_step, client_refuses=True)
        elif state is BatchState.SUCCEEDED:
            self._readings.record(names[1], value=False, how=how)
        else:
            self._readings.skip(how, names[1])

    def _batch_body(self, run: BatchRun) -> None:
        names = ("q02_records_key", "q02_counts")
        if run.last is None or run.status.state is BatchState.PENDING:
            self._readings.skip(run.why_undecided(), *names)
            return
        if run.status.state is BatchState.REJECTED and not records_of(run.last)[1]:
            self._readings.skip("a batch that is rejected as a whole has no records", *names)
            return
        how = "the body of a finished batch of customers"
        key, _ = records_of(run.last)
        if key:
            self._readings.record("q02_records_key", "" if key == "customers" else key, how)
        else:
            next_step = "rejected records cannot be named: BatchSubmitOperator then only counts them"
            self._readings.record_unlisted("q02_records_key", "no records", how, next_step)
        counts = [name for name in _COUNTS if isinstance(run.last.object.get(name), int)]
        if len(counts) in {0, len(_COUNTS)}:
            self._readings.record("q02_counts", "present" if counts else "absent", how)
        else:
            next_step = "nothing to do: the client counts the records"
            self._readings.record_unlisted("q02_counts", f"only {', '.join(counts)}", how, next_step)

    def _failed_record(self, run: BatchRun) -> None:
        names = ("q03_failed_inside_200", "q05_errors")
        if why := run.why_undecided():
            self._readings.skip(why, *names)
            return
        statuses = DEFAULT_READINGS.write.failure_words
        records = records_of(run.last)[1] if run.last else []
        failed = [record for record in records if str(record.get("status")).upper() in statuses]
        if run.last is None or not failed or run.status.state is not BatchState.PARTIAL:
            self._readings.skip(f"a batch of a good and a nameless customer finished: {run.status.reason}", *names)
            return
        how = f"a batch of a good and a nameless customer finished: {run.last.status} {run.status.reason}"
        self._readings.record(names[0], run.last.status == OK, how)
        errors = failed[0].get("errors")
        if errors is None:
            self._readings.record(names[1], "absent", how)
        elif isinstance(errors, list) and all(isinstance(e, dict) and {"field", "message"} <= set(e) for e in errors):
            self._readings.record(names[1], "list" if len(errors) == 1 else "several" if errors else "absent", how)
        else:
            next_step = "the reasons in the rejects file stay empty: see FieldMessage in client/models/write.py"
            self._readings.record_unlisted(names[1], "errors of another structure", how, next_step)

    def _all_records_failed(self, run: BatchRun) -> None:
        name = "q03_all_failed"
        if run.why_undecided() or run.last is None:
            self._readings.skip(run.why_undecided(), name)
        elif run.status.state is not BatchState.REJECTED:
            self._readings.skip(f"a batch of a nameless customer finished: {run.status.reason}", name)
        elif self._readings["q03_reject_batches"].value is True:
            self._readings.skip("every batch is rejected as a whole", name)
        elif run.last.status == OK:
            how = "a batch of a nameless customer finished: 200 with a failed record"
            self._readings.record("q03_failed_inside_200", value=True, how=how)
            self._readings.skip("a 200 response contains the failed records", name)
        else:
            self._readings.record(
                name, run.last.status, f"a batch of a nameless customer finished: {run.status.reason}"
            )

    # -- rows 16 and 15 -----------------------------------------------------------------------------------------------

    def _accepts(self, size: int) -> bool:
        records = [self._customer(self.single)] * size
        run = BatchRun(self._wire.write("PUT", "customers/batches", "customers", records))
        self._runs.append(run)
        return run.accepted

    def _largest_batch(self) -> None:
        name, how = "q16_max_records", "batches (PUT) of one customer many times"
        if not self._accepts(2):
            self._readings.skip(f"{how} were refused: {self._runs[-1].submitted.status}", name)
            return
        if self._accepts(1001):
            low, high = (5001, None) if self._accepts(5001) else (5000, 5000) if self._accepts(5000) else (1001, 4999)
        elif self._accepts(1000):
            low = high = 1000
        else:
            low, high = (101, 999) if self._accepts(101) else (100, 100) if self._accepts(100) else (2, 99)
        next_step = f"set chunk_size={low} of BatchSubmitOperator (default {_CHUNK})" if low < _CHUNK else ""
        if low == high:
            self._readings.record(name, low, f"{how}: {low} accepted, {low + 1} refused", next_step)
        elif high is None:
            self._readings.record_mixed(name, f"more than {low - 1}", f"{how}: {low} accepted")
        elif low >= _CHUNK:
            self._readings.record_mixed(name, f"{low} to {high}", f"{how}: {low} accepted, {high + 1} refused")
        else:
            how = f"{how}: {low} accepted, {high + 1} refused"
            self._readings.record_unlisted(name, f"{low} to {high}", how, next_step)

    def _duplicate_document(self) -> None:
        name = "q15_duplicate_document"
        if not self._documents:
            self._readings.skip("needs ARM_REAL_WRITE=documents, because a document cannot be deleted", name)
            return
        self._post(self.debtor)
        document = {
            "documentType": "IN",
            "customerNo": self.debtor,
            "documentNo": self.document,
            "documentDate": dt.datetime.now(dt.UTC).date().isoformat(),
            "currency": "NOK",
            "currencyAmounts": {"inclVat": 1},
        }
        first, again = self._run("documents", document), None
        if first.status.state is BatchState.SUCCEEDED and not first.why_undecided():
            again = self._run("documents", document)
        how = "the same document in two batches"
        if again is None:
            why = first.why_undecided() or f"the document was not accepted: {first.status.reason}"
            self._readings.skip(why, name)
        elif not again.accepted or again.status.state is BatchState.REJECTED:
            self._readings.record(name, "refuse", how)
        elif again.status.state is BatchState.SUCCEEDED and not again.why_undecided():
            self._readings.record(name, "accept", how, "never send a document again that ARM may have accepted")
        else:
            self._readings.skip(again.why_undecided() or again.status.reason, name)

    # -- cleaning up --------------------------------------------------------------------------------------------------

    def _delete_customers(self) -> list[str]:
        """Delete the customers and return those that exist, or may still be created by a batch."""
        with contextlib.suppress(WireError):
            for run in self._runs:
                if run.last is None or run.status.state is BatchState.PENDING:
                    poll_until_finished(self._wire, run, self._batch_timeout)
        if any(run.accepted and not run.uuid for run in self._runs):
            self._wire.wait(self._batch_timeout)  # a batch without a batchUuid may still create a customer
        return [number for number in self.customers if not self._delete(number)]

    def _delete(self, number: str) -> bool:
        try:
            self._wire.delete("customers", number)
            return self._wire.get("customers", number).status == NOT_FOUND
        except WireError:
            return False


def _customer_numbers(response: RawResponse) -> list[Any]:
    found = [row.get("customerNo") for row in rows_in(response) if isinstance(row, dict)]
    return [summary_of(response).get("totalCount"), *found]
