"""Derivation of the entries of the profile about batches, from three batches whose results are known.

The batches are one of good records only, one with a rejected record, and one of rejected records only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.contract.observer.batches import BatchRun, lists_in, numbers_in, uuid_key_in, words_in
from tests.contract.observer.findings import entries_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_provider_arm.client.readings import Readings
    from tests.contract.observer.findings import Findings
    from tests.contract.observer.wire import RawResponse

_REJECTIONS = range(400, 500)


@dataclass(frozen=True)
class Outcome:
    """The final response for a batch, and the numbers of records that it must have."""

    run: BatchRun
    response: RawResponse
    total: int
    failed: int

    @property
    def body(self) -> dict[str, Any]:
        """The body as it was received."""
        return self.response.raw


@dataclass(frozen=True)
class Outcomes:
    """The final responses; None: the batch does not have the result that was intended."""

    good: Outcome
    mixed: Outcome | None
    bad: Outcome | None

    @property
    def known(self) -> list[Outcome]:
        """Those that there are."""
        return [each for each in (self.good, self.mixed, self.bad) if each is not None]

    @property
    def failed(self) -> list[Outcome]:
        """Those with a rejected record."""
        return self.known[1:]


def observe_receipt(findings: Findings, run: BatchRun) -> None:
    """Record the key of the batchUuid in the response to a submission."""
    name = "batch.uuid_key"
    if not run.accepted:
        findings.skip(f"a batch was refused: {run.submitted.status}", name)
    elif key := uuid_key_in(run.submitted.raw, findings.base.batch.uuid_key):
        findings.entry(name, key, "response to the submission of a batch")
    findings.skip("the response to a submission has no UUID", name)


def observe_grace(findings: Findings, run: BatchRun) -> None:
    """Record the seconds in which a batch is not found after its submission."""
    name, base = "batch.not_found_grace", findings.base.batch.not_found_grace
    if not run.polls:
        findings.skip(run.why_undecided(), name)
        return
    seconds = run.not_found_seconds or float(run.not_found_polls > 0)
    # Twice what was observed: once says nothing about the longest.
    grace = max(base, float(math.ceil(seconds * 2)))
    how = f"found {run.not_found_seconds:g} s after its submission" if seconds else "found at the first poll"
    findings.entry(name, grace, how)


def observe_batch_entries(findings: Findings, outcomes: Outcomes) -> None:
    """Record keys, codes and words of batches and their records."""
    values: dict[str, Any] = {}
    records = _keys(findings.base, outcomes, values)
    if len(records) == len(outcomes.known):
        _record_keys(findings.base, outcomes, records, values)
    _codes(findings.base, outcomes, values)
    _words(findings, outcomes, records, values)
    findings.entries(values, "final responses of batches with known results")
    unseen = (name for name in entries_of("batch.") if name != "batch.max_records")
    findings.skip("no batch showed it", *unseen, "write.failure_words")


def _one(found: Iterable[str], expected: str | None) -> str:
    """Return the expected one, or the only one; empty if there is neither."""
    keys = list(found)
    if expected in keys:
        return str(expected)
    return keys[0] if len(keys) == 1 else ""


def _keys(base: Readings, outcomes: Outcomes, values: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Add the keys of a batch, and return the records of each outcome."""
    known = outcomes.known
    words = [words_in(each.body) for each in known]
    shared = [key for key in words[0] if all(key in others for others in words)]
    if base.batch.status_key not in shared and len(shared) > 1:
        shared = [key for key in shared if len({each[key] for each in words}) > 1]
    if key := _one(shared, base.batch.status_key):
        values["batch.status_key"] = key
    _counts(base, known, values)
    found = [_records(base, each) for each in known]
    keys = {key for key, _ in found if key}
    if len(keys) == 1 and all(key for key, _ in found):
        (key,) = keys
        others = [name for each in known for name in lists_in(each.body) if name not in keys]
        errors = _one({name for name in others if _are_errors(known, name)}, base.batch.errors_key)
        if errors:
            values["batch.errors_key"] = errors
        is_only = set(others) <= {errors, "warnings"}
        values["batch.records_key"] = key if base.batch.records_key or not is_only else None
        return [records for _, records in found]
    return []


def _counts(base: Readings, known: Sequence[Outcome], values: dict[str, Any]) -> None:
    meanings: dict[str, Callable[[Outcome], int]] = {
        "total_key": lambda each: each.total,
        "processed_key": lambda each: each.total - each.failed,
        "failed_key": lambda each: each.failed,
    }
    numbers = [numbers_in(each.body) for each in known]
    for entry, number in meanings.items():
        fits = [key for key in numbers[0] if all(n.get(key) == number(o) for n, o in zip(numbers, known, strict=True))]
        if key := _one(fits, getattr(base.batch, entry)):
            values[f"batch.{entry}"] = key


def _records(base: Readings, outcome: Outcome) -> tuple[str, list[dict[str, Any]]]:
    lists = {key: found for key, found in lists_in(outcome.body).items() if len(found) == outcome.total}
    lists = {key: found for key, found in lists.items() if key != base.batch.errors_key and words_in(found[0])}
    key = _one(lists, base.batch.records_key)
    return key, lists.get(key, [])


def _are_errors(known: Sequence[Outcome], key: str) -> bool:
    lists = [lists_in(each.body).get(key, []) for each in known]
    return not lists[0] and all("message" in each for found in lists for each in found)


def _record_keys(
    base: Readings, outcomes: Outcomes, records: list[list[dict[str, Any]]], values: dict[str, Any]
) -> None:
    words = [words_in(each) for found in records for each in found]
    shared = [key for key in words[0] if all(key in others for others in words)]
    if key := _one(shared, base.write.status_key):
        values["write.status_key"] = key
    numbers = [
        key
        for key in numbers_in(records[0][0])
        if all([each.get(key) for each in found] == list(range(1, len(found) + 1)) for found in records)
    ]
    if outcomes.good.total > 1 and (key := _one(numbers, base.batch.record_number_key)):
        values["batch.record_number_key"] = key


def _codes(base: Readings, outcomes: Outcomes, values: dict[str, Any]) -> None:
    final = [each.response.status for each in outcomes.known]
    rejected = {code for code in final if code in _REJECTIONS}
    finished = set(final) - rejected
    pending = {response.status for each in outcomes.known for response in each.run.pending} - set(final)
    success = {outcomes.good.response.status} & finished
    observed = {"finished_codes": finished, "success_codes": success}
    observed |= {"pending_codes": pending} if pending else {}
    observed |= {"rejected_codes": rejected} if rejected else {}
    for entry, codes in observed.items():
        own = set(getattr(base.batch, entry))
        others = set().union(
            *(found for name, found in observed.items() if name not in {entry, *_SHARED.get(entry, ())})
        )
        values[f"batch.{entry}"] = sorted(own if codes <= own and not own & others else codes)


#: Codes that are in both entries.
_SHARED = {"finished_codes": ("success_codes",), "success_codes": ("finished_codes",)}


def _words(findings: Findings, outcomes: Outcomes, records: list[list[dict[str, Any]]], values: dict[str, Any]) -> None:
    base = findings.base
    key, record_key = values.get("batch.status_key"), values.get("write.status_key", base.write.status_key)
    known: dict[str, set[str]] = {}
    if key:
        known["success"] = {_word(outcomes.good.body, key)}
        if outcomes.mixed is not None:
            known["partial"] = {_word(outcomes.mixed.body, key)} - known["success"]
        if outcomes.bad is not None:
            known["failure"] = {_word(outcomes.bad.body, key)} - known["success"] - known.get("partial", set())
    pending = [response for each in outcomes.known for response in each.run.pending]
    known["pending"] = {_word(response.raw, key) for response in pending} if key else set()
    known["pending"] |= {
        _word(each, record_key) for r in pending for found in lists_in(r.raw).values() for each in found
    }
    _record_words(outcomes, records, record_key, known, values, findings)
    known["pending"] -= {""}.union(*(found for name, found in known.items() if name != "pending"))
    for name in ("success", "partial", "failure", "pending"):
        own = set(getattr(base.batch, f"{name}_words"))
        words = known.get(name, set()) - {""}
        if not words:
            continue
        others = set().union(*(found for other, found in known.items() if other not in {name, f"record {name}"}))
        keeps = words <= own or name in {"failure", "pending"}
        values[f"batch.{name}_words"] = sorted((own - others) | words if keeps else words)


def _record_words(
    outcomes: Outcomes,
    records: list[list[dict[str, Any]]],
    key: str,
    known: dict[str, set[str]],
    values: dict[str, Any],
    findings: Findings,
) -> None:
    """Add the words of records: those of a write, unless the batch has the same ones."""
    written = {_word(each, key) for each in (records[0] if records else [])} - {""}
    refused: set[str] = set()
    for outcome, found in zip(outcomes.known, records, strict=False):
        if outcome.failed:
            refused |= {_word(each, key) for each in found} - written - {""}
    success = set(findings.readings.write.success_words)
    if not written <= success | known.get("success", set()):
        values["write.success_words"] = sorted(success | written)
    if refused:
        own = set(findings.readings.write.failure_words)
        values["write.failure_words"] = sorted(own | refused)
    known["record success"], known["record failure"] = written, refused


def _word(body: dict[str, Any], key: str) -> str:
    return words_in(body).get(key, "").upper()
