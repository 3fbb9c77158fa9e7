"""What was observed: entries of the readings profile, and behaviour for which the client needs no entry."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import ArmError
from airflow_provider_arm.client.readings import DEFAULT_READINGS, ENTRIES, Readings
from airflow_provider_arm.sandbox.state.switches import SWITCHES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Questions without a switch: name to row and text.
_WITHOUT_SWITCH = {
    "q07 filter names": (7, "whether the filters of the contract have an effect"),
    "q14 faults": (14, "load and faults"),
}
#: Switches that set an entry of the profile while a sandbox runs: the entry is observed instead.
SWITCH_ENTRIES = {
    "q02_records_key": "batch.records_key",
    "q03_unknown_status": "batch.success_words",
    "q04_grace_seconds": "batch.not_found_grace",
    "q08_plural_key": "lists.record_keys.list_customers",
    "q11_expired_status": "lists.expired_codes",
    "q12_empty_list": "lists.empty_is_404",
    "q16_max_records": "batch.max_records",
}
_SWITCHES = {switch.name: switch for switch in SWITCHES if switch.row and switch.name not in SWITCH_ENTRIES}
_QUESTIONS = {switch.name: (switch.row, switch.meaning) for switch in _SWITCHES.values()} | _WITHOUT_SWITCH
_WINDOWS = "filters.windows"


class Kind(StrEnum):
    """Relation of a finding to the defaults."""

    DEFAULT = "default"
    VARIANT = "variant"
    #: ARM behaves in a way that neither the profile nor the working contract provides for.
    UNLISTED = "not in the contract"
    NOT_OBSERVED = "not observed"


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question: an entry of the profile, or a behaviour."""

    name: str
    kind: Kind
    #: The value of the entry or switch. UNLISTED: what was observed. NOT_OBSERVED: the reason.
    value: Any
    how: str = ""
    next_step: str = ""
    #: The contract lists this reading, but the client can only refuse it.
    client_refuses: bool = False

    @property
    def is_entry(self) -> bool:
        """Whether it is an entry of the profile."""
        return self.name not in _QUESTIONS

    @property
    def row(self) -> int:
        """The row of the working contract; 0: none."""
        if not self.is_entry:
            return _QUESTIONS[self.name][0]
        extra = ENTRIES[_WINDOWS if self.name.startswith(_WINDOWS) else self.name].json_schema_extra
        question = extra.get("question") if isinstance(extra, dict) else None
        return question if isinstance(question, int) else 0

    @property
    def question(self) -> str:
        """The name of the entry, or the text of the question."""
        return self.name if self.is_entry else _QUESTIONS[self.name][1]

    @property
    def supported(self) -> bool:
        """Whether the client can work with this reading."""
        return self.kind is not Kind.UNLISTED and not self.client_refuses

    def text(self) -> str:
        """Return the reading as the table shows it."""
        if self.kind in {Kind.UNLISTED, Kind.NOT_OBSERVED}:
            return f"{self.kind}: {self.value}"
        value = self.value if isinstance(self.value, str) else json.dumps(self.value)
        if self.kind is Kind.DEFAULT:
            return f"default ({value})" if value else "default"
        return value if self.is_entry else f"{self.name}={value}"


class Findings:
    """Findings so far, by name. ``not observed`` never replaces an observation.

    :param base: the profile with which the observation starts.
    """

    def __init__(self, base: Readings = DEFAULT_READINGS) -> None:
        self.base = base
        self._found: dict[str, Finding] = {}

    # -- entries of the profile

    def entries(self, values: Mapping[str, Any], how: str, next_step: str = "") -> None:
        """Record values of entries, by full name. A value that contradicts other entries is not in the contract."""
        if self._accepts(values):
            self._set_entries(values, how, next_step)
            return
        for name, value in values.items():
            if self._accepts({name: value}):
                self._set_entries({name: value}, how, next_step)
            else:
                self.record_unlisted(name, f"{json.dumps(value)}, which contradicts another entry", how)

    def entry(self, name: str, value: Any, how: str, next_step: str = "") -> None:
        """Record the value of one entry."""
        self.entries({name: value}, how, next_step)

    def _accepts(self, values: Mapping[str, Any]) -> bool:
        try:
            self._parse(values)
        except ArmError:
            return False
        return True

    def _parse(self, values: Mapping[str, Any]) -> Readings:
        """Build the starting profile with the entries observed so far and others."""
        return Readings.parse(_nested(_flat(self.base) | self._values() | dict(values)))

    def _set_entries(self, values: Mapping[str, Any], how: str, next_step: str) -> None:
        parsed = _flat(self._parse(values))
        for name in values:
            kind = Kind.DEFAULT if parsed[name] == _DEFAULT_ENTRIES.get(name) else Kind.VARIANT
            self._note(Finding(name, kind, parsed[name], how, next_step))

    def _values(self) -> dict[str, Any]:
        kinds = {Kind.DEFAULT, Kind.VARIANT}
        return {each.name: each.value for each in self._found.values() if each.is_entry and each.kind in kinds}

    @property
    def readings(self) -> Readings:
        """The starting profile with all entries observed so far."""
        return self._parse({})

    def profile(self) -> dict[str, Any]:
        """Return the observed entries, and those in which the starting profile differs from the default."""
        return _nested(self.base.changes() | self._values())

    def not_observed(self) -> list[Finding]:
        """Return the entries that were not observed, with the reasons."""
        return [each for each in self if each.is_entry and each.kind in {Kind.NOT_OBSERVED, Kind.UNLISTED}]

    # -- behaviour

    def record(self, name: str, value: Any, how: str, next_step: str = "", *, client_refuses: bool = False) -> None:
        """Record the value of the switch with which the sandbox behaves as ARM does."""
        switch = _SWITCHES[name]
        if value == switch.default:
            self._note(Finding(name, Kind.DEFAULT, value, how))
        elif not isinstance(switch.allowed, tuple) or value in switch.allowed:
            self._note(Finding(name, Kind.VARIANT, value, how, next_step, client_refuses))
        else:
            self.record_unlisted(name, value, how, next_step)

    def record_default(self, name: str, how: str) -> None:
        """Record that the contract's default is true, for a question without a switch."""
        self._note(Finding(name, Kind.DEFAULT, "", how))

    def record_mixed(self, name: str, value: str, how: str, next_step: str = "") -> None:
        """Record a mixture of readings that the contract lists."""
        self._note(Finding(name, Kind.VARIANT, value, how, next_step))

    def record_unlisted(self, name: str, what: Any, how: str, next_step: str = "") -> None:
        """Record a behaviour that the contract does not list."""
        next_step = next_step or "report it to the project: the contract does not list it"
        self._note(Finding(name, Kind.UNLISTED, what, how, next_step))

    def skip(self, why: str, *names: str) -> None:
        """Record why questions have no finding."""
        for name in names:
            if name not in self._found:
                self._found[name] = Finding(name, Kind.NOT_OBSERVED, why)

    @contextmanager
    def guard(self, *names: str) -> Iterator[None]:
        """Record a response of an unexpected structure as not in the contract, and continue after the block."""
        try:
            yield
        except ArmError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            next_step = "inspect ARM's response by hand: it could not be interpreted"
            for name in names:
                if name not in self._found:
                    what = f"a response of another structure ({type(error).__name__})"
                    self.record_unlisted(name, what, "", next_step)

    def _note(self, finding: Finding) -> None:
        self._found[finding.name] = finding

    def __getitem__(self, name: str) -> Finding:
        return self._found[name]

    def __iter__(self) -> Iterator[Finding]:
        """Iterate over one finding for each question, in the order of the rows."""
        names = [*_QUESTIONS, *_DEFAULT_ENTRIES]
        missing = [Finding(name, Kind.NOT_OBSERVED, "no observation") for name in names if name not in self._found]
        everything = [*self._found.values(), *missing]
        return iter(sorted(everything, key=lambda each: (each.row or len(_QUESTIONS), each.is_entry, each.name)))


def entries_of(*prefixes: str) -> list[str]:
    """Return the names of the entries that begin with one of the prefixes."""
    return [name for name in _DEFAULT_ENTRIES if name.startswith(prefixes)]


def rows_of(*rows: int) -> list[str]:
    """Return the names of the behaviours of these rows."""
    return [name for name, (row, _) in _QUESTIONS.items() if row in rows]


def _flat(readings: Readings) -> dict[str, Any]:
    """Return all entries of a profile by name; each window is one entry."""
    values: dict[str, Any] = {}
    profile = readings.model_dump(mode="json")
    for name in ENTRIES:
        value: Any = profile
        for part in name.split("."):
            value = value[part]
        values |= {f"{name}.{by}": window for by, window in value.items()} if name == _WINDOWS else {name: value}
    return values


_DEFAULT_ENTRIES = _flat(DEFAULT_READINGS)


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    profile: dict[str, Any] = {}
    for name, value in values.items():
        *sections, last = name.split(".")
        place = profile
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return profile


def table(findings: Iterable[Finding]) -> str:
    """Format what was observed as a table, and below it what was not, with the reasons."""
    seen = [each for each in findings if each.kind is not Kind.NOT_OBSERVED]
    head = ("row", "question", "reading", "how it was observed")
    lines = [head, *((str(r.row or ""), r.question, r.text(), r.how) for r in seen)]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    rows = ["  ".join([*(c.ljust(w) for c, w in zip(line, widths, strict=False)), line[3]]).rstrip() for line in lines]
    return "\n".join([*rows, *_reasons(findings)])


def _reasons(findings: Iterable[Finding]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for each in findings:
        if each.kind is Kind.NOT_OBSERVED:
            by_reason.setdefault(str(each.value), []).append(each.question)
    return [f"{Kind.NOT_OBSERVED}: {', '.join(names)}: {reason}" for reason, names in by_reason.items()]


def next_steps(findings: Iterable[Finding]) -> str:
    """Format the next steps, one line each."""
    return "\n".join(f"  {r.name}: {r.next_step}" for r in findings if r.next_step)
