"""What ARM has accepted of a submission, as one task passes it to another. Loaded when a task runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.runtime.export.manifest_args import resolve_lazy_xcom
from airflow_provider_arm.runtime.records import open_source
from airflow_provider_arm.runtime.rendered import read_key
from airflow_provider_arm.submission.planning.resources import find_operation
from airflow_provider_arm.submission.results.outcome import find_rejects, find_rejects_without_source
from airflow_provider_arm.submission.results.record_warnings import find_warnings
from airflow_provider_arm.submission.sending.recovered import RecoveredChunk, in_chunk_order, read_recovered
from airflow_provider_arm.summary import SUCCESS, count_text, summary_line

if TYPE_CHECKING:
    from airflow_provider_arm.client.batch_state import BatchStatus
    from airflow_provider_arm.client.models import ArmModel
    from airflow_provider_arm.client.operations import Operation
    from airflow_provider_arm.submission.planning.resources import Resource
    from airflow_provider_arm.submission.results.outcome import Batches, Reject
    from airflow_provider_arm.submission.results.record_warnings import RecordWarning
    from airflow_provider_arm.submission.sources.source import Source

#: Value of ``on_invalid`` with which invalid rows are skipped and reported.
REJECT = "reject"
#: Of the result: the arguments with which a sensor finds the records again, and what was found in the source.
ORIGIN_KEYS = ("resource", "action", "source", "chunk_size", "on_invalid", "blank_rows", "doubled_keys")


@dataclass(frozen=True, slots=True)
class Submitted:
    """What ARM has accepted of one submission.

    :param batch_records: number of records of each batch, by its batchUuid, as far as it is known.
    :param recovered: chunks whose batchUuid is lost.
    :param records: number of records in all chunks, if it is known.
    :param invalid: number of rows that were skipped because they are invalid.
    :param origin: :data:`ORIGIN_KEYS` of the operator; empty if only the batchUuids are known.
    """

    batch_uuids: list[str]
    batch_records: dict[str, int] = field(default_factory=dict)
    recovered: list[RecoveredChunk] = field(default_factory=list)
    records: int | None = None
    invalid: int = 0
    origin: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values: what a deferral stores, and a part of the operator's result."""
        return {
            "batch_uuids": self.batch_uuids,
            "batch_records": self.batch_records,
            "submitted": self.records,
            "invalid": self.invalid,
            "recovered": [each.as_json() for each in self.recovered],
            **{name: self.origin.get(name) for name in ORIGIN_KEYS},
        }

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> Submitted:
        """Read the result of ``BatchSubmitOperator``, or :meth:`as_json`.

        :raises ArmConfigurationError: it names no batch although it has records, or has other content.
        """
        recovered = read_recovered(result.get("recovered"))
        # A submission without records, or of recovered chunks only, has no batch to poll.
        has_none = not result.get("batch_uuids") and (bool(recovered) or result.get("submitted") == 0)
        uuids = [] if has_none else _read_uuids(result.get("batch_uuids"))
        records, known = result.get("submitted"), result.get("batch_records")
        sizes = dict(known) if isinstance(known, Mapping) else {}
        unsized = [uuid for uuid in uuids if uuid not in sizes]
        if len(unsized) == 1 and records is not None:
            sizes[unsized[0]] = records - sum(sizes.values()) - sum(chunk.records for chunk in recovered)
        return cls(uuids, sizes, recovered, records, int(result.get("invalid") or 0), result)

    def summary(self) -> str:
        """Return the outcome of a task that does not wait for the batches, or that has none."""
        noun = str(self.origin.get("resource") or "records").removesuffix("s")
        if self.records == 0:
            return summary_line(f"no {noun}s to submit", SUCCESS, "on_empty: succeed")
        invalid = f"{count_text(self.invalid, 'invalid row')} not sent" if self.invalid else None
        chunks = count_text(len(self.batch_uuids) + len(self.recovered), "batch")
        later = "ARM has not processed them yet: wait with a BatchSensor" if self.batch_uuids else None
        return summary_line(f"{count_text(self.records, noun)} submitted in {chunks}", SUCCESS, invalid, later)

    def finish(self, statuses: Mapping[str, BatchStatus], source: Source | None = None) -> FinishedSubmission:
        """Return the submission with the statuses of its batches.

        :param source: of the records; default: the file that the result names, if it names one.
        """
        batches = in_chunk_order([(uuid, statuses[uuid]) for uuid in self.batch_uuids], self.recovered)
        resource_name = self.origin.get("resource")
        if not resource_name:
            return FinishedSubmission(self, batches)
        resource, name = find_operation(str(resource_name), self.origin.get("action") or "create")
        operation = OPERATIONS[name]
        if source is None and self.origin.get("source"):
            source = open_source(None, self.origin["source"], operation)
        return FinishedSubmission(self, batches, resource, operation, source)


@dataclass(frozen=True, slots=True)
class FinishedSubmission:
    """One submission whose batches are all finished.

    :param resource: ``None`` if only the batchUuids are known.
    :param source: of the records, if they can be read again.
    """

    submitted: Submitted
    batches: Batches
    resource: Resource | None = None
    operation: Operation | None = None
    source: Source | None = field(default=None, repr=False)

    @property
    def model(self) -> type[ArmModel] | None:
        """Model of the records in the rejects file; ``None`` if it has only what ARM returns about them."""
        return self.operation.record if self.operation and self.source else None

    def find_rejects(self) -> Iterable[Reject]:
        """Return the rejects, with their records if these can be read."""
        if self.source is None or self.resource is None:
            return find_rejects_without_source(self.batches)
        return find_rejects(self.source, self._chunk_size, self.batches, self.resource.key, self._validated_for)

    def find_warnings(self) -> Iterable[RecordWarning]:
        """Return the warnings about accepted records."""
        key = self.resource.key if self.resource else None
        return find_warnings(self.source, self._chunk_size, self.batches, key, self._validated_for)

    @property
    def _chunk_size(self) -> int:
        return int(self.submitted.origin.get("chunk_size") or 1)

    @property
    def _validated_for(self) -> Operation | None:
        return self.operation if self.submitted.origin.get("on_invalid") == REJECT else None


def read_submitted(value: Any) -> list[Submitted]:
    """Read the argument ``batch_uuid``: a batchUuid, a list of them, or one or several results of a submission.

    Results of the same batches count once: runs of a mapped task may have found the same earlier submission.

    :raises ArmConfigurationError: it names no batch; the message contains what it is instead.
    """
    value = resolve_lazy_xcom(value)
    if isinstance(value, Mapping):
        return [Submitted.from_result(value)]
    if isinstance(value, Sequence) and value and all(isinstance(each, Mapping) for each in value):
        results = [Submitted.from_result(each) for each in value]
        return list({tuple(each.batch_uuids) or position: each for position, each in enumerate(results)}.values())
    return [Submitted(_read_uuids(value))]


def _read_uuids(value: Any) -> list[str]:
    """Return the batchUuids without duplicates."""
    if value is None or isinstance(value, str):
        return [_read_uuid(value)]
    uuids = list(value) if isinstance(value, list | tuple) else []
    if not uuids or not all(isinstance(uuid, str) for uuid in uuids):
        raise ArmConfigurationError(
            "batch_uuid must be a batchUuid, a list of them, or the result of BatchSubmitOperator (of a mapped one, "
            f"its output), not {_describe(value)}"
        )
    return list(dict.fromkeys(map(_read_uuid, uuids)))


def _read_uuid(value: Any) -> str:
    uuid = read_key("batch_uuid", value).strip()
    if "," in uuid or len(uuid.split()) > 1:
        raise ArmConfigurationError("batch_uuid is one text with several words or batchUuids: pass them as a list")
    return uuid


def _describe(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "a list with other values" if value else "an empty list"
    return f"a value of type {type(value).__name__}"
