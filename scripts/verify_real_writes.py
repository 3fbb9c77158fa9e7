"""The rows of the working contract that only writing shows: 1 to 5, 15 to 17, and whether a query lives on (11)."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Any

from verify_real_batches import Story, follow, records_of, run_batch
from verify_real_readings import rows_of
from verify_real_reads import rows_in, summary_of
from verify_real_wire import WireError

from airflow_provider_arm.client import BatchState
from airflow_provider_arm.client.assumptions import DEFAULT_ASSUMPTIONS
from airflow_provider_arm.client.http.redaction import mask

if TYPE_CHECKING:
    from verify_real_readings import Notes
    from verify_real_wire import Numbers, Seen, Wire

OK, CREATED, ACCEPTED, PARTIAL_CONTENT, NOT_FOUND = 200, 201, 202, 206, 404
_SUCCESSES = range(200, 300)
_RECEIPT_KEYS = {"status", "batchUuid", "message", "clientNo"}
_COUNTS = ("totalCount", "processedCount", "failedCount")

#: Sizes of batches that tell the limits of the contract (100, 1000, 5000) apart; more would be a load test.
_SIZES = (2, 100, 101, 1000, 1001, 5000, 5001)
#: Records that the client puts into a batch unless told otherwise.
_CHUNK = 500


class Writes:
    """Writes to customers and documents of its own and notes what ARM made of it.

    :param patience: seconds that a batch may take.
    """

    def __init__(self, wire: Wire, notes: Notes, numbers: Numbers, patience: float) -> None:
        self._wire, self._notes, self._patience = wire, notes, patience
        self.single, self.between, self.batch, self.bad, self.debtor = (numbers.new() for _ in range(5))
        self.document = numbers.new()
        self._documents = wire.target.write == "documents"
        self._open: list[Story] = []
        #: After :meth:`observe`: customers that are still there, or may be.
        self.left: list[str] = []

    @property
    def customers(self) -> list[str]:
        """Every customer number that may come to exist."""
        return [self.single, self.between, self.batch, self.bad, *([self.debtor] if self._documents else [])]

    def plan(self) -> list[str]:
        """Say what will be written."""
        lines = [
            f"customer {self.single}: created and updated by POST, updated by batches of up to {_SIZES[-1]} records",
            f"customer {self.between}: created by POST between two pages of a list",
            f"customer {self.batch}: created by a batch (POST)",
            f"customer {self.bad}: sent without a name in batches, to be refused",
        ]
        if self._documents:
            lines.append(f"customer {self.debtor}: created by POST")
            lines.append(f"document {self.document} of {self.debtor}, 1.00 NOK: posted twice, NEVER TO BE DELETED")
        return [*lines, "then all these customers are deleted; one with a document stays, because ARM keeps it"]

    def check(self) -> None:
        """Make sure that nobody has the numbers.

        :raises WireError: somebody may.
        """
        for number in self.customers:
            self._check_free("customers", number)
        if self._documents:
            self._check_free("documents", self.document)

    def _check_free(self, resource: str, number: str) -> None:
        status = self._wire.get(resource, number).status
        if status != NOT_FOUND:
            why = f"GET {resource}/{number} answered {status} and not 404: nothing is written; take another prefix"
            raise WireError(why)

    def observe(self) -> None:
        """Write and note; deletes its customers, whatever happens."""
        try:
            if not self._upsert():
                return
            with self._notes.careful("q11_live_query"):
                self._live_query()
            with self._notes.careful(*rows_of(1, 2, 3, 4, 5)):
                self._batches()
            with self._notes.careful("q16_max_records"):
                self._largest_batch()
            with self._notes.careful("q15_duplicate_document"):
                self._duplicate_document()
        finally:
            self.left = self._clean()

    # -- row 17 -------------------------------------------------------------------------------------------------------

    def _customer(self, number: str) -> dict[str, Any]:
        return {"customerNo": number, "name": "Verify Real"}

    def _post(self, number: str) -> Seen:
        return self._wire.write("POST", "customers", "customer", self._customer(number))

    def _upsert(self) -> bool:
        first = self._post(self.single)
        if first.status not in _SUCCESSES:
            why = f"no customer can be created: {first.status} {self._said(first)}"
            self._notes.unseen(why, *rows_of(1, 2, 3, 4, 5, 15, 16, 17), "q11_live_query")
            return False
        pairs = [(seen.status, seen.object.get("result")) for seen in (first, self._post(self.single))]
        how = "POST of a new customer: {} {}; again: {} {}".format(*pairs[0], *pairs[1])
        words = {str(seen.object.get("status")).upper() for seen in (first,)} - DEFAULT_ASSUMPTIONS.success_statuses
        if pairs == [(CREATED, "CREATED"), (OK, "UPDATED")]:
            self._notes.saw("q17_upsert_response", "by_effect", how)
        elif pairs == [(OK, "CREATED")] * 2:
            self._notes.saw("q17_upsert_response", "created_200", how)
        elif not words and all(status in {OK, CREATED} for status, _ in pairs):
            self._notes.mixed("q17_upsert_response", "mixed", how)
        else:
            step = "give the client Assumptions(success_statuses=...)" if words else ""
            self._notes.unlisted("q17_upsert_response", " / ".join(f"{code} {word}" for code, word in pairs), how, step)
        return True

    def _said(self, seen: Seen) -> str:
        return mask(str(seen.object.get("message") or ""), self._customer(""))

    # -- row 11 -------------------------------------------------------------------------------------------------------

    def _live_query(self) -> None:
        first = self._wire.get("customers", pagesize=5)
        kept = {"query": summary_of(first).get("queryId", ""), "pageno": 1}
        last = {**kept, "pageno": summary_of(first).get("totalPages") or 1}
        before = [first, self._wire.get("customers", **last)]
        self._post(self.between)
        after = [self._wire.get("customers", **kept), self._wire.get("customers", **last)]
        if any(seen.status != OK for seen in before + after):
            why = ", ".join(str(seen.status) for seen in before + after)
            self._notes.unseen(f"pages of one query of customers answered {why}", "q11_live_query")
            return
        live = [_numbers_on(seen) for seen in before] != [_numbers_on(seen) for seen in after]
        how = "first and last page of one query of customers, before and after one was created"
        step = "rows shift while a list is read: export windows that are over, and filter by a closed period"
        self._notes.saw("q11_live_query", live, how, step if live else "")

    # -- rows 1 to 5 --------------------------------------------------------------------------------------------------

    def _run(self, resource: str, *records: dict[str, Any]) -> Story:
        story = run_batch(self._wire, resource, list(records), self._patience)
        self._open.append(story)
        return story

    def _batches(self) -> None:
        good = self._run("customers", self._customer(self.single), self._customer(self.batch))
        self._receipt(good)
        self._grace(good)
        self._waiting(good)
        self._ended(good)
        self._body(good)
        mixed = self._run("customers", self._customer(self.single), {"customerNo": self.bad})
        self._body(mixed)
        self._failed(mixed)
        self._all_failed(self._run("customers", {"customerNo": self.bad}))

    def _receipt(self, story: Story) -> None:
        seen, how = story.submitted, "POST of a batch of 2 customers"
        if not story.accepted:
            self._notes.unseen(f"{how} was refused: {seen.status} {self._said(seen)}", *rows_of(1))
            return
        more = sorted(set(seen.object) - _RECEIPT_KEYS)
        self._notes.saw("q01_submit_status", seen.status, how)
        self._notes.saw("q01_extra_keys", bool(more), f"{how}: {', '.join(more) or 'no more keys than expected'}")
        step = "no batch can be followed: ask Amili where the batchUuid is (BatchReceipt in client/models)"
        self._notes.saw("q01_no_uuid", not story.uuid, how, "" if story.uuid else step, stops=not story.uuid)

    def _grace(self, story: Story) -> None:
        names = ("q04_grace_polls", "q04_grace_seconds")
        if story.last is None:
            self._notes.unseen(story.why_open(), *names)
            return
        how = f"the batch was known at look {story.unknown_looks + 1} after its submit"
        if story.unknown_seconds:
            how = f"looks every second: the batch was known {story.unknown_seconds:g} s after its submit"
        values = (story.unknown_looks, story.unknown_seconds)
        for name, value in zip(names, values, strict=True):
            grace = max(1, story.unknown_seconds)
            step = f"give the client Assumptions(batch_not_found_grace={grace * 2:g}) or more" if value else ""
            self._notes.saw(name, value, how, step)

    def _waiting(self, story: Story) -> None:
        names = ("q02_records_while_202", "q03_206_in_progress")
        seen = story.pending
        if seen is None:
            why = story.why_open() if story.last is None else "the batch was finished when it was first looked at"
            self._notes.unseen(why, *names)
            return
        how = f"a batch in work: {seen.status} {mask(str(seen.object.get('status', 'without a status word')))}"
        in_progress: Any = {ACCEPTED: False, PARTIAL_CONTENT: True}.get(seen.status, f"{seen.status} while in work")
        self._notes.saw(names[1], in_progress, how, "nothing to do: the client waits on" if seen.status == OK else "")
        if seen.status == ACCEPTED:
            self._notes.saw(names[0], "present" if records_of(seen)[1] else "absent", how)
        else:
            self._notes.unseen(how, names[0])

    def _ended(self, story: Story) -> None:
        names = ("q03_unknown_status", "q03_reject_batches")
        if story.last is None or story.status.state is BatchState.PENDING:
            self._notes.unseen(story.why_open(), *names)
            return
        state, how = story.status.state, f"a batch of 2 good customers ended: {story.last.status} {story.status.reason}"
        if state is BatchState.INVALID_RESPONSE:
            word = str(story.last.object.get("status") or "")
            known = DEFAULT_ASSUMPTIONS.success_statuses | DEFAULT_ASSUMPTIONS.partial_statuses
            if word and word.upper() not in known | DEFAULT_ASSUMPTIONS.failure_statuses and story.last.status == OK:
                step = f"if it means success, give the client Assumptions(success_statuses=... with {mask(word)})"
                self._notes.saw(names[0], mask(word), how, step, stops=True)
            else:
                step = "the client cannot read a finished batch: see classify_batch() in client/batch_state.py"
                self._notes.unlisted(names[0], story.status.reason, how, step)
            self._notes.unseen(story.why_open(), names[1])
            return
        self._notes.saw(names[0], "", how)
        if state is BatchState.REJECTED and not records_of(story.last)[1]:
            self._notes.saw(names[1], value=True, how=how, step="ARM refuses every batch: ask Amili why", stops=True)
        elif state is BatchState.SUCCEEDED:
            self._notes.saw(names[1], value=False, how=how)
        else:
            self._notes.unseen(how, names[1])

    def _body(self, story: Story) -> None:
        names = ("q02_records_key", "q02_counts")
        if story.last is None or story.status.state is BatchState.PENDING:
            self._notes.unseen(story.why_open(), *names)
            return
        if story.status.state is BatchState.REJECTED and not records_of(story.last)[1]:
            self._notes.unseen("a batch that is rejected as a whole shows no records", *names)
            return
        how = "the body of a finished batch of customers"
        key, _ = records_of(story.last)
        if key:
            self._notes.saw("q02_records_key", "" if key == "customers" else key, how)
        else:
            step = "rejected records cannot be named: BatchSubmitOperator then only counts them"
            self._notes.unlisted("q02_records_key", "no records", how, step)
        there = [name for name in _COUNTS if isinstance(story.last.object.get(name), int)]
        if len(there) in {0, len(_COUNTS)}:
            self._notes.saw("q02_counts", "present" if there else "absent", how)
        else:
            self._notes.unlisted("q02_counts", f"only {', '.join(there)}", how, "the client goes by the records")

    def _failed(self, story: Story) -> None:
        names = ("q03_failed_inside_200", "q05_errors")
        if why := story.why_open():
            self._notes.unseen(why, *names)
            return
        words = DEFAULT_ASSUMPTIONS.failure_statuses
        records = records_of(story.last)[1] if story.last else []
        failed = [record for record in records if str(record.get("status")).upper() in words]
        if story.last is None or not failed or story.status.state is not BatchState.PARTIAL:
            why = f"a batch of a good and a nameless customer ended: {story.status.reason}"
            self._notes.unseen(why, *names)
            return
        how = f"a batch of a good and a nameless customer ended: {story.last.status} {story.status.reason}"
        self._notes.saw(names[0], story.last.status == OK, how)
        errors = failed[0].get("errors")
        if errors is None:
            self._notes.saw(names[1], "absent", how)
        elif isinstance(errors, list) and all(isinstance(e, dict) and {"field", "message"} <= set(e) for e in errors):
            self._notes.saw(names[1], "list" if len(errors) == 1 else "several" if errors else "absent", how)
        else:
            step = "the reasons in the rejects file stay empty: see FieldMessage in client/models/write.py"
            self._notes.unlisted(names[1], "errors of another shape", how, step)

    def _all_failed(self, story: Story) -> None:
        name = "q03_all_failed"
        if story.why_open() or story.last is None:
            self._notes.unseen(story.why_open(), name)
        elif story.status.state is not BatchState.REJECTED:
            self._notes.unseen(f"a batch of a nameless customer ended: {story.status.reason}", name)
        elif self._notes["q03_reject_batches"].value is True:
            self._notes.unseen("every batch is rejected as a whole", name)
        elif story.last.status == OK:
            how = "a batch of a nameless customer ended: 200 with a failed record"
            self._notes.saw("q03_failed_inside_200", value=True, how=how)
            self._notes.unseen("failed records stand inside 200", name)
        else:
            self._notes.saw(name, story.last.status, f"a batch of a nameless customer ended: {story.status.reason}")

    # -- rows 16 and 15 -----------------------------------------------------------------------------------------------

    def _takes(self, size: int) -> bool:
        records = [self._customer(self.single)] * size
        story = Story(self._wire.write("PUT", "customers/batches", "customers", records))
        self._open.append(story)
        return story.accepted

    def _largest_batch(self) -> None:
        name, how = "q16_max_records", "batches (PUT) of one customer many times"
        if not self._takes(2):
            self._notes.unseen(f"{how} are refused: {self._open[-1].submitted.status}", name)
            return
        if self._takes(1001):
            low, high = (5001, None) if self._takes(5001) else (5000, 5000) if self._takes(5000) else (1001, 4999)
        elif self._takes(1000):
            low = high = 1000
        else:
            low, high = (101, 999) if self._takes(101) else (100, 100) if self._takes(100) else (2, 99)
        step = f"set chunk_size={low} of BatchSubmitOperator (default {_CHUNK})" if low < _CHUNK else ""
        if low == high:
            self._notes.saw(name, low, f"{how}: {low} taken, {low + 1} refused", step)
        elif high is None:
            self._notes.mixed(name, f"more than {low - 1}", f"{how}: {low} taken")
        elif low >= _CHUNK:
            self._notes.mixed(name, f"{low} to {high}", f"{how}: {low} taken, {high + 1} refused")
        else:
            self._notes.unlisted(name, f"{low} to {high}", f"{how}: {low} taken, {high + 1} refused", step)

    def _duplicate_document(self) -> None:
        name = "q15_duplicate_document"
        if not self._documents:
            self._notes.unseen("needs ARM_REAL_WRITE=documents, because a document cannot be deleted", name)
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
        if first.status.state is BatchState.SUCCEEDED and not first.why_open():
            again = self._run("documents", document)
        how = "the same document in two batches"
        if again is None:
            self._notes.unseen(first.why_open() or f"the document was not taken: {first.status.reason}", name)
        elif not again.accepted or again.status.state is BatchState.REJECTED:
            self._notes.saw(name, "refuse", how)
        elif again.status.state is BatchState.SUCCEEDED and not again.why_open():
            self._notes.saw(name, "accept", how, "never send a document again that may have been taken")
        else:
            self._notes.unseen(again.why_open() or again.status.reason, name)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _clean(self) -> list[str]:
        """Delete the customers; gives those that are, or may still come to be, there."""
        with contextlib.suppress(WireError):
            for story in self._open:
                if story.last is None or story.status.state is BatchState.PENDING:
                    follow(self._wire, story, self._patience)
        if any(story.accepted and not story.uuid for story in self._open):
            self._wire.wait(self._patience)  # a batch that cannot be looked at may still create a customer
        return [number for number in self.customers if not self._gone(number)]

    def _gone(self, number: str) -> bool:
        try:
            self._wire.delete("customers", number)
            return self._wire.get("customers", number).status == NOT_FOUND
        except WireError:
            return False


def _numbers_on(seen: Seen) -> list[Any]:
    found = [row.get("customerNo") for row in rows_in(seen) if isinstance(row, dict)]
    return [summary_of(seen).get("totalCount"), *found]
