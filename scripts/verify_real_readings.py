"""The observed readings: one for each switch of the sandbox that belongs to a row of the working contract."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import ArmError
from airflow_provider_arm.sandbox.state.switches import SWITCHES

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Questions without a switch: name to row and text.
_WITHOUT_SWITCH = {
    "q07 filter names": (7, "whether the filters of the contract have an effect"),
    "q14 faults": (14, "load and faults"),
}


class Kind(StrEnum):
    """Relation of a reading to the working contract."""

    DEFAULT = "default"
    VARIANT = "variant"
    #: ARM behaves in a way that the contract does not list.
    UNLISTED = "not in the contract"
    NOT_OBSERVED = "not observed"


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer to one question."""

    name: str
    kind: Kind
    #: The value of the switch. UNLISTED: what was observed. NOT_OBSERVED: the reason.
    value: Any
    how: str = ""
    next_step: str = ""
    #: The contract lists this reading, but the client can only refuse it.
    client_refuses: bool = False

    @property
    def row(self) -> int:
        """The row of the working contract."""
        return _QUESTIONS[self.name][0]

    @property
    def question(self) -> str:
        """The text of the question."""
        return _QUESTIONS[self.name][1]

    @property
    def supported(self) -> bool:
        """Whether the client can work with this reading."""
        return self.kind is not Kind.UNLISTED and not self.client_refuses

    def text(self) -> str:
        """Return the reading as the table shows it."""
        value = str(self.value).lower() if isinstance(self.value, bool) else self.value
        match self.kind:
            case Kind.DEFAULT:
                return "default" if value in {"", None} else f"default ({value})"
            case Kind.VARIANT:
                return f"{self.name}={value}"
            case Kind.UNLISTED | Kind.NOT_OBSERVED:
                return f"{self.kind}: {value}"


_SWITCHES = {switch.name: switch for switch in SWITCHES if switch.row}
_QUESTIONS = {switch.name: (switch.row, switch.meaning) for switch in _SWITCHES.values()} | _WITHOUT_SWITCH


class Readings:
    """The readings so far, by question. ``not observed`` never replaces an observed reading."""

    def __init__(self) -> None:
        self._found: dict[str, Reading] = {}

    def record(self, name: str, value: Any, how: str, next_step: str = "", *, client_refuses: bool = False) -> None:
        """Record the value of the switch with which the sandbox behaves as ARM does."""
        switch = _SWITCHES[name]
        if value == switch.default:
            self._note(Reading(name, Kind.DEFAULT, value, how))
        elif not isinstance(switch.allowed, tuple) or value in switch.allowed:
            self._note(Reading(name, Kind.VARIANT, value, how, next_step, client_refuses))
        else:
            self.record_unlisted(name, value, how, next_step)

    def record_default(self, name: str, how: str) -> None:
        """Record that the contract's default is true, for a question without a switch."""
        self._note(Reading(name, Kind.DEFAULT, "", how))

    def record_mixed(self, name: str, value: str, how: str, next_step: str = "") -> None:
        """Record a mixture of readings that the contract lists."""
        self._note(Reading(name, Kind.VARIANT, value, how, next_step))

    def record_unlisted(self, name: str, what: Any, how: str, next_step: str = "") -> None:
        """Record a behaviour that the contract does not list."""
        next_step = next_step or "report it to the project: the contract does not list it"
        self._note(Reading(name, Kind.UNLISTED, what, how, next_step))

    def skip(self, why: str, *names: str) -> None:
        """Record why questions have no reading."""
        for name in names:
            if name not in self._found:
                self._found[name] = Reading(name, Kind.NOT_OBSERVED, why)

    @contextmanager
    def guard(self, *names: str) -> Iterator[None]:
        """Record a response of an unexpected structure as not in the contract, and continue after the block."""
        try:
            yield
        except ArmError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            next_step = "inspect ARM's response by hand: this script could not interpret it"
            for name in names:
                if name not in self._found:
                    self.record_unlisted(
                        name, f"a response of another structure ({type(error).__name__})", "", next_step
                    )

    def _note(self, reading: Reading) -> None:
        self._found[reading.name] = reading

    def __getitem__(self, name: str) -> Reading:
        return self._found[name]

    def __iter__(self) -> Iterator[Reading]:
        """Iterate over one reading for each question, in the order of the rows."""
        missing = [Reading(name, Kind.NOT_OBSERVED, "no observation") for name in _QUESTIONS if name not in self._found]
        return iter(sorted([*self._found.values(), *missing], key=lambda reading: (reading.row, reading.name)))


def rows_of(*rows: int) -> list[str]:
    """Return the names of the questions of these rows."""
    return [name for name, (row, _) in _QUESTIONS.items() if row in rows]


def table(readings: Readings) -> str:
    """Format the readings as a table."""
    head = ("row", "question", "reading", "how it was observed")
    lines = [head, *((str(r.row), r.question, r.text(), r.how) for r in readings)]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[3]]).rstrip()
        for line in lines
    )


def next_steps(readings: Readings) -> str:
    """Format the next steps, one line each."""
    return "\n".join(f"  row {r.row}, {r.name}: {r.next_step}" for r in readings if r.next_step)
