"""A task against the sandbox: source, plan, journal, sender and client together, on a socket, judged by the ledger."""

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
#: Records in a chunk.
SIZE = 2

#: ARM has taken the batch, or may have, and nobody here can know.
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


def name(rule: dict[str, Any]) -> str:
    """Name a fault."""
    return " ".join(str(value) for value in rule.values())


def documents(count: int) -> list[dict[str, Any]]:
    """Make invoices that the sandbox takes."""
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
    """Make customers that the sandbox takes."""
    return [{"customerNo": f"8800{number:02}", "name": f"Kunde {number}", "currency": "NOK"} for number in range(count)]


class Task:
    """One task of one DAG run: its journal outlives its attempts.

    :param looks: whether lost documents are looked for.
    """

    def __init__(
        self,
        box: ArmSandbox,
        resource: str,
        source: Any,
        *,
        looks: bool = False,
        max_in_flight: int = 1,
        assume_absent_after: float | None = None,
    ) -> None:
        self.box, self.source = box, source
        self.operation = OPERATIONS[f"create_{resource.removesuffix('s')}_batch"]
        self.key = {"customers": "customerNo", "documents": "documentNo"}[resource]
        self.journal = FakeJournal(FakeArm())
        self._rules = {"max_in_flight": max_in_flight, "assume_absent_after": assume_absent_after}
        self._looks = looks
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
        """Run once, on the sandbox's clock."""
        sender = Sender(
            self.operation,
            self.journal,
            clear_count,
            self._submit,
            self._look,
            resend,
            look_up=self._look_up if self._looks else None,
            key=self.key,
            now=lambda: self.box.now().timestamp(),
            **self._rules,
        )
        with prepare(self.source, self.operation, SIZE, self.key) as prepared:
            return sender.send_all(prepared.plan, prepared.chunks())

    def attempt(self, clear_count: int = 0, *, resend: bool = False) -> list[str | None]:
        """Run once; gives the batchUuids."""
        return [each.batch_uuid for each in self.send(clear_count, resend=resend)]

    def try_again(self) -> list[SentChunk] | ArmError:
        """Run once, as a later try; gives its error where it ends with one."""
        try:
            return self.send()
        except ArmError as error:
            return error

    def submits(self) -> list[int]:
        """How often ARM took each content."""
        return [batch["submits"] for batch in self.box.ledger()["batches"].values()]

    def _submit(self, records: bytes) -> str:
        return str(self.client.submit_encoded(self.operation.name, records).batch_uuid)

    def _look(self, uuid: str) -> BatchState:
        return self.client.get_batch(uuid).state

    def _look_up(self, records: list[dict[str, Any]]) -> LookupResult:
        return look_up(records, self.key, document_finder(self.client))


@dataclass(frozen=True, slots=True)
class Loss:
    """A submission of documents of which one answer is lost.

    :param rule: the sandbox's fault.
    :param nth: the batch that it meets, by its arrival.
    :param delay: seconds that ARM needs for a batch.
    """

    rule: dict[str, Any]
    nth: int
    looks: bool
    delay: float
    max_in_flight: int = 1
    chunks: int = 3

    @property
    def taken(self) -> bool:
        """Whether ARM has the batch whose answer is lost."""
        return self.rule.get("when") == "after_accept"


@dataclass(slots=True)
class Verdict:
    """What became of it, by the sandbox's ledger.

    :param states: of the chunks in the journal.
    """

    doubled: int = 0
    states: list[ChunkState | None] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def suffer(box: ArmSandbox, loss: Loss) -> Verdict:
    """Submit, lose the answer, try again at once and after ARM has worked, clear; then ask the ledger."""
    box.reset()
    # A second posting of a document must show.
    box.behave(batch_delay=loss.delay, q15_duplicate_document="accept")
    box.fault({"match": BATCHES, "nth": loss.nth, **loss.rule})
    source = ListSource(documents(SIZE * loss.chunks))
    with Task(box, "documents", source, looks=loss.looks, max_in_flight=loss.max_in_flight) as task:
        ends = [task.try_again(), task.try_again()]
        box.advance(loss.delay + 60)
        ends += [task.try_again(), task.try_again()]
        return _judge(task, loss, ends)


def _judge(task: Task, loss: Loss, ends: list[Any]) -> Verdict:
    effects = {key: entry["effects"] for key, entry in task.box.ledger()["documents"].items()}
    states = task.journal.states()
    verdict = Verdict(sum(count - 1 for count in effects.values()), states)
    wanted = [ChunkState.ACCEPTED] * (loss.chunks - 1)
    wanted.append(ChunkState.RECOVERED if loss.looks and loss.taken else ChunkState.UNKNOWN)
    if sorted(filter(None, states)) != sorted(wanted):
        verdict.wrong.append(f"the journal says {states}")
    if (ChunkState.UNKNOWN in states) != isinstance(ends[-1], UnresolvedChunksError):
        verdict.wrong.append(f"ended with {ends[-1]!r}")
    for index, state in enumerate(states):
        there = {f"7700{number:04}" in effects for number in range(SIZE * index, SIZE * (index + 1))}
        if there != {state is not ChunkState.UNKNOWN or loss.taken}:
            verdict.wrong.append(f"chunk {index + 1} is {state}, and ARM does not agree")
    return verdict
