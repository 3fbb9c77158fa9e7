"""What was observed: one reading for each switch of the sandbox that belongs to a row of the working contract."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import ArmError
from airflow_provider_arm.sandbox.state.switches import SWITCHES

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What can be asked of ARM and has no switch: name -> row and question.
BESIDE = {
    "q07 filter names": (7, "whether the filters of the contract choose"),
    "q14 faults": (14, "load and faults"),
}


class Kind(StrEnum):
    """How a reading relates to the working contract."""

    DEFAULT = "default"
    VARIANT = "variant"
    #: ARM does what the contract does not list.
    UNLISTED = "not in the contract"
    UNSEEN = "not observed"


@dataclass(frozen=True, slots=True)
class Reading:
    """What turned out true of one question."""

    name: str
    kind: Kind
    #: The value of the switch; for an unlisted one what was seen, for an unseen one why.
    value: Any
    how: str = ""
    #: What to do about it.
    step: str = ""
    #: The contract lists it, but the client can only refuse it.
    stops: bool = False

    @property
    def row(self) -> int:
        """The row of the working contract."""
        return _QUESTIONS[self.name][0]

    @property
    def question(self) -> str:
        """What was asked."""
        return _QUESTIONS[self.name][1]

    @property
    def good(self) -> bool:
        """Whether the client can live with it."""
        return self.kind is not Kind.UNLISTED and not self.stops

    def shown(self) -> str:
        """The reading in words."""
        match self.kind:
            case Kind.DEFAULT:
                return "default" if self.value in {"", None} else f"default ({_plain(self.value)})"
            case Kind.VARIANT:
                return f"{self.name}={_plain(self.value)}"
            case Kind.UNLISTED:
                return f"{self.kind}: {self.value}"
            case Kind.UNSEEN:
                return f"{self.kind}: {self.value}"


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_SWITCHES = {switch.name: switch for switch in SWITCHES if switch.row}
_QUESTIONS = {switch.name: (switch.row, switch.meaning) for switch in _SWITCHES.values()} | BESIDE


class Notes:
    """The readings so far. What was seen once is not unseen by a later look."""

    def __init__(self) -> None:
        self._found: dict[str, Reading] = {}

    def saw(self, name: str, value: Any, how: str, step: str = "", *, stops: bool = False) -> None:
        """Note the value of a switch that would make the sandbox do what ARM does."""
        switch = _SWITCHES[name]
        if value == switch.default:
            self._note(Reading(name, Kind.DEFAULT, value, how))
        elif not isinstance(switch.allowed, tuple) or value in switch.allowed:
            self._note(Reading(name, Kind.VARIANT, value, how, step, stops))
        else:
            self.unlisted(name, value, how, step)

    def holds(self, name: str, how: str) -> None:
        """Note that the contract's default holds for a question without a switch."""
        self._note(Reading(name, Kind.DEFAULT, "", how))

    def mixed(self, name: str, value: str, how: str, step: str = "") -> None:
        """Note a mixture of readings that the contract lists."""
        self._note(Reading(name, Kind.VARIANT, value, how, step))

    def unlisted(self, name: str, what: Any, how: str, step: str = "") -> None:
        """Note what the contract does not list."""
        self._note(Reading(name, Kind.UNLISTED, what, how, step or "tell it to the project: the contract misses it"))

    def unseen(self, why: str, *names: str) -> None:
        """Note why some questions stay open."""
        for name in names:
            if name not in self._found:
                self._found[name] = Reading(name, Kind.UNSEEN, why)

    @contextmanager
    def careful(self, *names: str) -> Iterator[None]:
        """Note an answer of a shape that nobody expected, and go on with the next questions."""
        try:
            yield
        except ArmError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            step = "look at ARM's answer by hand: the observer did not understand it"
            for name in names:
                if name not in self._found:
                    self.unlisted(name, f"an answer of another shape ({type(error).__name__})", "", step)

    def _note(self, reading: Reading) -> None:
        self._found[reading.name] = reading

    def __getitem__(self, name: str) -> Reading:
        return self._found[name]

    def __iter__(self) -> Iterator[Reading]:
        """Give a reading for every question, by row."""
        missing = [
            Reading(name, Kind.UNSEEN, "nothing was seen of it") for name in _QUESTIONS if name not in self._found
        ]
        return iter(sorted([*self._found.values(), *missing], key=lambda reading: (reading.row, reading.name)))


def rows_of(*rows: int) -> list[str]:
    """Name the questions of some rows."""
    return [name for name, (row, _) in _QUESTIONS.items() if row in rows]


def table(notes: Notes) -> str:
    """Write the readings as a table."""
    head = ("row", "question", "reading", "how it was observed")
    lines = [head, *((str(r.row), r.question, r.shown(), r.how) for r in notes)]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[3]]).rstrip()
        for line in lines
    )


def steps(notes: Notes) -> str:
    """Write what is to be done, one line each."""
    return "\n".join(f"  row {r.row}, {r.name}: {r.step}" for r in notes if r.step)
