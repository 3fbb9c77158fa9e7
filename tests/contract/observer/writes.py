"""Observation by writes of test customers and test documents."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import BatchState
from airflow_provider_arm.client.http.redaction import mask
from tests.contract.observer.batch_behaviour import message_of, observe_batches
from tests.contract.observer.batch_entries import (
    Outcome,
    Outcomes,
    observe_batch_entries,
    observe_grace,
    observe_receipt,
)
from tests.contract.observer.batches import BatchRun, poll_until_settled, words_in
from tests.contract.observer.candidates import METADATA, RECORD_KEYS
from tests.contract.observer.entries import rows_in, summary_of, today
from tests.contract.observer.findings import entries_of, rows_of
from tests.contract.observer.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.contract.observer.findings import Findings
    from tests.contract.observer.target import Numbers
    from tests.contract.observer.wire import RawResponse, Wire

OK, CREATED, UNAUTHORIZED, NOT_FOUND = 200, 201, 401, 404
_SUCCESSES, _REFUSALS = range(200, 300), range(400, 500)

#: Records in the largest batch that is sent: one more than the largest limit of the contract.
MOST = 5001
#: The default ``chunk_size`` of BatchSubmitOperator.
_CHUNK = 500
#: Writes that cannot be undone: their bodies are not tried.
_NOT_TRIED = ("create_document", "update_ar_item", "create_auto_postings", "create_payment_reservation")
_NOT_TRIED += ("upload_files", "create_action", "create_report")
_ENTRIES = ("batch.", "write.", "record_keys.", "calls.checks_token_first")


class Writes:
    """Writes of test customers and test documents, and what they show.

    :param batch_timeout: seconds that a batch may take.
    """

    def __init__(self, wire: Wire, findings: Findings, numbers: Numbers, batch_timeout: float) -> None:
        self._wire, self._findings, self._batch_timeout = wire, findings, batch_timeout
        self.single, self.between, self.unauthorized, self.debtor = (numbers.new() for _ in range(4))
        self.good = [numbers.new() for _ in range(3)]
        self.mixed = [numbers.new() for _ in range(2)]
        self.bad = [numbers.new() for _ in range(2)]
        self.document = numbers.new()
        self._documents = wire.target.write == "documents"
        self._runs: list[BatchRun] = []
        #: After :meth:`observe`: customers that may still exist.
        self.not_deleted: list[str] = []

    @property
    def customers(self) -> list[str]:
        """The numbers of all customers that may be created."""
        found = [self.single, self.between, self.unauthorized, *self.good, *self.mixed, *self.bad]
        return [*found, *([self.debtor] if self._documents else [])]

    def plan(self) -> list[str]:
        """Return what will be written, one line each."""
        lines = [
            f"customer {self.single}: created and updated by POST and PUT, updated by batches of up to {MOST} records",
            f"customer {self.between}: created by POST between two pages of a list",
            f"customer {self.unauthorized}: sent with a wrong token, should be refused",
            f"customers {', '.join(self.good + self.mixed)}: created by batches (POST)",
            f"customers {', '.join(self.bad)}: sent without a name, should be rejected",
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
        """Write, record what is observed, and delete the customers even after an error."""
        findings = self._findings
        fields = ("write.ar_item_id_key", "write.options_key")
        findings.skip("a write that cannot be undone", *fields, *(f"record_keys.{name}" for name in _NOT_TRIED))
        try:
            with findings.guard("q17_upsert_response", *entries_of("write.")):
                if not self._upsert():
                    return
            with findings.guard("calls.checks_token_first", "record_keys.update_customer", "write.failure_words"):
                self._single_writes()
            with findings.guard("q11_live_query"):
                self._live_query()
            with findings.guard(*rows_of(1, 2, 3, 4, 5), *entries_of("batch.", "record_keys.create_customer_batch")):
                self._batches()
            with findings.guard("batch.max_records"):
                self._largest_batch()
            with findings.guard("q15_duplicate_document", "record_keys.create_document_batch"):
                self._duplicate_document()
        finally:
            self.not_deleted = self._delete_customers()

    def _update(self) -> None:
        self._wire.readings = self._findings.readings

    # -- one customer -------------------------------------------------------------------------------------------------

    def _customer(self, number: str) -> dict[str, Any]:
        return {"customerNo": number, "name": "Verify Real"}

    def _post(self, number: str) -> RawResponse:
        return self._wire.write("POST", "customers", "upsert_customer", self._customer(number))

    def _upsert(self) -> bool:
        response, how = self._find_body()
        if response is None:
            why = f"no customer can be created: {how}"
            self._findings.skip(why, *rows_of(1, 2, 3, 4, 5, 15, 17), "q11_live_query", *entries_of(*_ENTRIES))
            return False
        self._write_words(response, "success_words")
        again = self._post(self.single)
        pairs = [(each.status, each.raw.get("result")) for each in (response, again)]
        how = "POST of a new customer: {} {}; again: {} {}".format(*pairs[0], *pairs[1])
        if pairs == [(CREATED, "CREATED"), (OK, "UPDATED")]:
            self._findings.record("q17_upsert_response", "by_effect", how)
        elif pairs == [(OK, "CREATED")] * 2:
            self._findings.record("q17_upsert_response", "created_200", how)
        elif all(status in {OK, CREATED} for status, _ in pairs):
            self._findings.record_mixed("q17_upsert_response", "mixed", how)
        else:
            what = " / ".join(f"{code} {result}" for code, result in pairs)
            self._findings.record_unlisted("q17_upsert_response", what, how)
        return True

    def _find_body(self) -> tuple[RawResponse | None, str]:
        """Create the customer, and record the form of the body that ARM accepts."""
        refused = []
        for key, metadata in self._bodies():
            body = {**metadata, key: self._customer(self.single)} if key else self._customer(self.single)
            response = self._wire.send("POST", "customers", body)
            if response.status in _SUCCESSES and self._exists(self.single):
                self._record_body(key, metadata)
                return response, ""
            refused.append(f"{response.status} {message_of(response)}".strip())
            if response.status not in _REFUSALS:
                break
        return None, refused[0]

    def _exists(self, number: str) -> bool:
        return self._wire.get("customers", number).status == OK

    def _bodies(self) -> Iterator[tuple[str | None, dict[str, Any]]]:
        """Yield likely keys of the record, each with likely metadata."""
        write, base = self._findings.base.write, self._findings.base.record_keys.upsert_customer
        user = self._wire.target.user_id or "verify-real"
        names = dict.fromkeys(((write.metadata_key, write.user_key), *METADATA))
        for key in dict.fromkeys((base, *RECORD_KEYS["one"])):
            if key is None:
                yield None, {}
                continue
            for metadata_key, user_key in names:
                yield key, {metadata_key: {user_key: user}}
            yield key, {}

    def _record_body(self, key: str | None, metadata: dict[str, Any]) -> None:
        how = "POST of one customer"
        values: dict[str, Any] = {"record_keys.upsert_customer": key}
        if metadata:
            ((metadata_key, user),) = metadata.items()
            values |= {"write.metadata_key": metadata_key, "write.user_key": next(iter(user))}
            without = self._wire.send("POST", "customers", {str(key): self._customer(self.single)})
            values["write.metadata_without_user"] = without.status not in _SUCCESSES
        self._findings.entries(values, how)
        self._findings.skip("a body with metadata was refused", *entries_of("write.metadata", "write.user"))
        self._update()

    def _write_words(self, response: RawResponse, entry: str) -> None:
        """Record the key and the word of the status of a write whose result is known."""
        base, words = self._findings.readings.write, words_in(response.raw)
        keys = [base.status_key] if base.status_key in words else list(words)
        if len(keys) != 1:
            self._findings.skip("the response has no status, or several", "write.status_key", f"write.{entry}")
            return
        word = words[keys[0]].upper()
        known = getattr(base, entry)
        values: dict[str, Any] = {f"write.{entry}": sorted({*known, word}) if entry == "failure_words" else [word]}
        if word in known:
            values[f"write.{entry}"] = list(known)
        if entry == "success_words":
            values["write.status_key"] = keys[0]
        self._findings.entries(values, f"response to a customer: {response.status} {mask(word)}")
        self._update()

    def _single_writes(self) -> None:
        key = self._wire.readings.record_keys.upsert_customer
        body = self._wire.body(key, self._customer(self.unauthorized))
        status = self._wire.send("POST", "customers", body, token="not.a.token").status
        name = "calls.checks_token_first"
        if status == UNAUTHORIZED:
            how = "POST of a customer with a wrong token: 401; then GET of the customer"
            self._findings.entry(name, not self._exists(self.unauthorized), how)
        self._findings.skip(f"POST of a customer with a wrong token returned {status}", name)
        refused = self._wire.write("POST", "customers", "upsert_customer", {"customerNo": self.bad[0]})
        if refused.status in _REFUSALS and words_in(refused.raw):
            self._write_words(refused, "failure_words")
        record = {"customerNo": self.single, "informalName": "Verify"}
        self._find_key("PUT", "customers", "update_customer", record, (key, *RECORD_KEYS["one"]))

    def _find_key(self, method: str, path: str, operation: str, record: Any, keys: Sequence[str | None]) -> RawResponse:
        """Send a record until ARM accepts its key, and record that key."""
        base = getattr(self._findings.base.record_keys, operation)
        first = None
        for key in dict.fromkeys((base, *keys)):
            response = self._wire.send(method, path, self._wire.body(key, record))
            if response.status in _SUCCESSES:
                self._findings.entry(f"record_keys.{operation}", key, f"{method} {path}: {response.status}")
                self._update()
                return response
            first = first or response
            if response.status not in _REFUSALS:
                break
        assert first is not None
        why = f"{method} {path} was refused: {first.status} {message_of(first)}".strip()
        self._findings.skip(why, f"record_keys.{operation}")
        return first

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
            self._findings.skip(f"pages of one query of customers returned {statuses}", "q11_live_query")
            return
        live = [*map(_customer_numbers, before)] != [*map(_customer_numbers, after)]
        how = "first and last page of one query of customers, before and after a customer was created"
        next_step = "rows shift while a list is read: export windows that have ended, filtered by a closed period"
        self._findings.record("q11_live_query", live, how, next_step if live else "")

    # -- rows 1 to 5 --------------------------------------------------------------------------------------------------

    def _submit(self, records: list[dict[str, Any]], creates: Sequence[str] = ()) -> BatchRun:
        response = self._wire.write("POST", "customers/batches", "create_customer_batch", records)
        run = BatchRun(self._wire, response, [("customers", number) for number in creates])
        self._runs.append(run)
        return run

    def _batches(self) -> None:
        good_records = [self._customer(number) for number in self.good]
        response = self._find_key(
            "POST", "customers/batches", "create_customer_batch", good_records, RECORD_KEYS["many"]
        )
        good = BatchRun(self._wire, response, [("customers", number) for number in self.good])
        self._runs.append(good)
        observe_receipt(self._findings, good)
        self._update()
        bad = self._submit([{"customerNo": number} for number in self.bad])
        mixed = self._submit([*map(self._customer, self.mixed), {"customerNo": self.bad[0]}], self.mixed)
        poll_until_settled(self._wire, [good, bad, mixed], self._batch_timeout)
        observe_grace(self._findings, good)
        self._entries(good, mixed, bad)
        self._update()
        observe_batches(self._wire, self._findings, good=good, mixed=mixed, bad=bad)

    def _entries(self, good: BatchRun, mixed: BatchRun, bad: BatchRun) -> None:
        """Record the entries, as far as the batches have the intended results."""
        if not good.has_effect or not good.settled or good.last is None:
            why = good.why_undecided() or "ARM did not accept a batch of good customers in time"
            self._findings.skip(why, *entries_of("batch."))
            return
        is_refused = not any(self._exists(number) for number in self.bad)
        outcomes = Outcomes(
            Outcome(good, good.last, len(self.good), 0),
            Outcome(mixed, mixed.last, len(self.mixed) + 1, 1)
            if mixed.has_effect and mixed.settled and mixed.last and is_refused
            else None,
            Outcome(bad, bad.last, len(self.bad), len(self.bad)) if bad.settled and bad.last and is_refused else None,
        )
        observe_batch_entries(self._findings, outcomes)

    # -- rows 16 and 15 -----------------------------------------------------------------------------------------------

    def _accepts(self, size: int) -> bool:
        records = [self._customer(self.single)] * size
        if self._runs[-1].creates:  # the first of these batches
            keys = (self._wire.readings.record_keys.create_customer_batch, *RECORD_KEYS["many"])
            response = self._find_key("PUT", "customers/batches", "update_customer_batch", records, keys)
        else:
            response = self._wire.write("PUT", "customers/batches", "update_customer_batch", records)
        run = BatchRun(self._wire, response)
        self._runs.append(run)
        return run.accepted

    def _largest_batch(self) -> None:
        name, how = "batch.max_records", "batches (PUT) of one customer many times"
        if not self._accepts(1):
            self._findings.skip(f"{how} were refused: {self._runs[-1].submitted.status}", name)
            return
        low, high = 1, MOST
        for size in (1000, 1001, 100, 101, 5000, MOST):
            if low < size < high or size == high:
                low, high = (size, high) if self._accepts(size) else (low, size)
        while low + 1 < high:
            size = (low + high) // 2
            low, high = (size, high) if self._accepts(size) else (low, size)
        if low >= MOST:
            self._findings.skip(f"{how}: {low} accepted, which is more than the client sends", name)
            return
        next_step = f"BatchSubmitOperator then needs chunk_size={low} or less" if low < _CHUNK else ""
        self._findings.entry(name, low, f"{how}: {low} accepted, {low + 1} refused", next_step)

    def _duplicate_document(self) -> None:
        name, key = "q15_duplicate_document", "record_keys.create_document_batch"
        if not self._documents:
            self._findings.skip("needs ARM_REAL_WRITE=documents, because a document cannot be deleted", name, key)
            return
        self._post(self.debtor)
        document = {
            "documentType": "IN",
            "customerNo": self.debtor,
            "documentNo": self.document,
            "documentDate": today(),
            "currency": "NOK",
            "currencyAmounts": {"inclVat": 1},
        }
        keys = (self._wire.readings.record_keys.create_customer_batch, *RECORD_KEYS["many"])
        response = self._find_key("POST", "documents/batches", "create_document_batch", [document], keys)
        first, again = BatchRun(self._wire, response, [("documents", self.document)]), None
        poll_until_settled(self._wire, [first], self._batch_timeout)
        if first.status.state is BatchState.SUCCEEDED and not first.why_undecided():
            response = self._wire.write("POST", "documents/batches", "create_document_batch", [document])
            again = BatchRun(self._wire, response)
            poll_until_settled(self._wire, [again], self._batch_timeout)
        how = "the same document in two batches"
        if again is None:
            why = first.why_undecided() or f"the document was not accepted: {first.status.reason}"
            self._findings.skip(why, name)
        elif not again.accepted or again.status.state is BatchState.REJECTED:
            self._findings.record(name, "refuse", how)
        elif again.status.state is BatchState.SUCCEEDED and not again.why_undecided():
            self._findings.record(name, "accept", how, "never send a document again that ARM may have accepted")
        else:
            self._findings.skip(again.why_undecided() or again.status.reason, name)

    # -- cleaning up --------------------------------------------------------------------------------------------------

    def _delete_customers(self) -> list[str]:
        """Delete the customers and return those that exist, or may still be created by a batch."""
        with contextlib.suppress(WireError):
            poll_until_settled(self._wire, self._runs, self._batch_timeout)
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
