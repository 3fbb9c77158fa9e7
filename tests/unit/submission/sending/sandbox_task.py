"""Task against the sandbox: source, plan, journal, sender and client on a real socket, checked by the effect log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_arm.client import ArmClient, ClientCredentials, Transport
from airflow_provider_arm.client.errors import ArmError
from airflow_provider_arm.client.http.retry import RetryPolicy
from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.submission.errors import UnresolvedChunksError
from airflow_provider_arm.submission.journal.entries import ChunkState
from airflow_provider_arm.submission.planning.prepare import prepare
from airflow_provider_arm.submission.sending.lookup import LookupResult, document_finder, look_up
from airflow_provider_arm.submission.sending.send import Sender, SentChunk
from airflow_provider_arm.submission.sources.source import ListSource
from tests.unit.submission.fake_arm import FakeArm, FakeJournal

if TYPE_CHECKING:
    from airflow_provider_arm.client.batch_state import BatchState
    from airflow_provider_arm.sandbox import ArmSandbox

BATCHES = {"method": "POST", "path": "*/batches"}
#: Records per chunk.
SIZE = 2

#: Faults after which the client cannot know whether ARM has accepted the batch.
LOST: list[dict[str, Any]] = [
    {"do": "close", "when": "after_accept"},
    {"do": "reset", "when": "after_accept"},
    {"do": "hang", "when": "after_accept"},
    {"do": "half_header", "when": "after_accept"},
    {"do": "half_body", "when": "after_accept"},
    {"do": "html", "when": "after_accept"},
    {"do": "empty", "when": "after_accept"},
    {"do": "status", "status": 500, "when": "after_accept"},
    {"do": "status", "status": 503, "when": "after_accept"},
    {"do": "close"},
    {"do": "status", "status": 502},
]


def fault_name(rule: dict[str, Any]) -> str:
    """Return the name of a fault, as a test id."""
    return " ".join(str(value) for value in rule.values())


def documents(count: int) -> list[dict[str, Any]]:
    """Build invoices that the sandbox accepts."""
    return [
        {
            "documentType": "IN",
            "customerNo": "543210",
            "documentNo": f"7700{number:04}",
            "documentDate": "2025-11-03",
            "dueDate": "2025-11-17",
            "currency": "NOK",
            "currencyAmounts": {"exclVat": "800.00", "vat": "200.00", "inclVat": "1000.00"},
        }
        for number in range(count)
    ]


def customers(count: int) -> list[dict[str, Any]]:
    """Build customers that the sandbox accepts."""
    return [{"customerNo": f"8800{number:02}", "name": f"Kunde {number}", "currency": "NOK"} for number in range(count)]


class Task:
    """One task of one DAG run. Its journal outlives its tries.

    :param looks_up: whether chunks with an unknown outcome are looked up.
    """

    def __init__(
        self,
        box: ArmSandbox,
        resource: str,
        source: Any,
        *,
        looks_up: bool = False,
        max_in_flight: int = 1,
        assume_absent_after: float | None = None,
    ) -> None:
        self.box, self.source = box, source
        self.operation = OPERATIONS[f"create_{resource.removesuffix('s')}_batch"]
        self.key = {"customers": "customerNo", "documents": "documentNo"}[resource]
        self.journal = FakeJournal(FakeArm())
        self._options = {"max_in_flight": max_in_flight, "assume_absent_after": assume_absent_after}
        self._looks_up = looks_up
        self.client = ArmClient(
            box.base_url,
            ClientCredentials(box.auth_url, box.client_id, box.client_secret),
            client_no=box.client_no,
            transport=Transport(timeout=0.3),
            retry=RetryPolicy(max_attempts=1),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def send(self, clear_count: int = 0, *, resend: bool = False) -> list[SentChunk]:
        """Run one try on the sandbox's clock; return the sent chunks."""
        sender = Sender(
            self.operation,
            self.journal,
            clear_count,
            self._submit,
            self._poll,
            resend,
            look_up=self._look_up if self._looks_up else None,
            key=self.key,
            now=lambda: self.box.now().timestamp(),
            **self._options,
        )
        with prepare(self.source, self.operation, SIZE, self.key) as prepared:
            return sender.send_all(prepared.plan, prepared.chunks())

    def attempt(self, clear_count: int = 0, *, resend: bool = False) -> list[str | None]:
        """Run one try; return the batchUuids."""
        return [each.batch_uuid for each in self.send(clear_count, resend=resend)]

    def retry(self) -> list[SentChunk] | ArmError:
        """Run one try; return the sent chunks, or the error that ended it."""
        try:
            return self.send()
        except ArmError as error:
            return error

    def submits(self) -> list[int]:
        """Return how often ARM accepted each batch content."""
        return [batch["submits"] for batch in self.box.ledger()["batches"].values()]

    def _submit(self, records: bytes) -> str:
        return str(self.client.submit_encoded(self.operation.name, records).batch_uuid)

    def _poll(self, uuid: str, submitted: int | None) -> BatchState:
        return self.client.get_batch(uuid, submitted=submitted).state

    def _look_up(self, records: list[dict[str, Any]]) -> LookupResult:
        return look_up(records, self.key, document_finder(self.client))


@dataclass(frozen=True, slots=True)
class Loss:
    """Submission of documents in which one response is lost.

    :param rule: the sandbox's fault.
    :param nth: number of the batch that it affects, from 1, in the order of arrival.
    :param looks_up: whether the task looks up chunks with an unknown outcome.
    :param delay: seconds that ARM needs to process a batch.
    """

    rule: dict[str, Any]
    nth: int
    looks_up: bool
    delay: float
    max_in_flight: int = 1
    chunks: int = 3

    @property
    def is_accepted(self) -> bool:
        """Whether ARM has accepted the batch whose response is lost."""
        return self.rule.get("when") == "after_accept"


@dataclass(slots=True)
class LossResult:
    """Result of a lost response, according to the sandbox's effect log.

    :param doubled: documents that took effect more than once.
    :param states: of the chunks in the journal.
    :param wrong: contradictions between journal, error and effect log.
    """

    doubled: int = 0
    states: list[ChunkState | None] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def run_with_loss(box: ArmSandbox, loss: Loss) -> LossResult:
    """Submit, lose the response, retry at once and after ARM has processed; then check the effect log."""
    box.reset()
    # A second posting of a document must be visible.
    box.behave(batch_delay=loss.delay, q15_duplicate_document="accept")
    box.fault({"match": BATCHES, "nth": loss.nth, **loss.rule})
    source = ListSource(documents(SIZE * loss.chunks))
    with Task(box, "documents", source, looks_up=loss.looks_up, max_in_flight=loss.max_in_flight) as task:
        results = [task.retry(), task.retry()]
        box.advance(loss.delay + 60)
        results += [task.retry(), task.retry()]
        return _check(task, loss, results)


def _check(task: Task, loss: Loss, results: list[Any]) -> LossResult:
    effects = {key: entry["effects"] for key, entry in task.box.ledger()["documents"].items()}
    states = task.journal.states()
    result = LossResult(sum(count - 1 for count in effects.values()), states)
    expected = [ChunkState.ACCEPTED] * (loss.chunks - 1)
    expected.append(ChunkState.RECOVERED if loss.looks_up and loss.is_accepted else ChunkState.UNKNOWN)
    if sorted(filter(None, states)) != sorted(expected):
        result.wrong.append(f"the journal has {states}")
    if (ChunkState.UNKNOWN in states) != isinstance(results[-1], UnresolvedChunksError):
        result.wrong.append(f"ended with {results[-1]!r}")
    for index, state in enumerate(states):
        took_effect = {f"7700{number:04}" in effects for number in range(SIZE * index, SIZE * (index + 1))}
        if took_effect != {state is not ChunkState.UNKNOWN or loss.is_accepted}:
            result.wrong.append(f"chunk {index + 1} is {state}, which contradicts the effect log")
    return result
