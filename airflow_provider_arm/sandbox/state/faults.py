"""Faults as data: which request, before or after ARM took it, and what then happens on the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider_arm.sandbox.messages import SandboxRequest

#: What a fault can do, and what its name means on the wire.
FAULT_KINDS = {
    "refuse": "this connection is reset and new ones are refused, for `seconds` (default 1) of real time",
    "close": "the connection is closed without a byte",
    "reset": "the connection is reset (RST)",
    "hang": "nothing is sent; the connection stays open until the caller leaves, or for `seconds`",
    "status": 'an answer with `status` (default 503); `retry_after`: seconds, or "date": an HTTP date in `seconds`',
    "html": "an HTML page with `status` (default 200)",
    "empty": "an answer with `status` (default 200) and no body",
    "half_header": "the first half of the answer's head, then the connection is closed",
    "half_body": "the whole head and half of the body, then the connection is closed",
    "delay": "the answer comes `seconds` (default 1) late",
    "late_commit": "the connection is closed; the effect comes `seconds` (default 60) later on the sandbox's clock",
    "token_refused": "401; unless `once`, the token is refused from now on",
}

WHEN = ("before_accept", "after_accept")

_KEYS = {"match", "nth", "times", "when", "do", "status", "retry_after", "seconds", "once", "message"}
_MATCH_KEYS = {"method", "path"}

#: No fault keeps a connection longer than this, so that a forgotten one does not hold a test machine for ever.
LONGEST_SECONDS = 3600.0


@dataclass(slots=True)
class FaultRule:
    """One rule, and how often it has been met."""

    id: int
    do: str
    when: str = "before_accept"
    method: str = "*"
    path: str = "*"
    #: Fires at the nth matching request (from 1) and at the ``times - 1`` after it; ``times`` 0 is for ever.
    nth: int = 1
    times: int = 1
    status: int = 0
    retry_after: Any = None
    seconds: float = 0.0
    once: bool = False
    message: str = ""
    seen: int = 0
    fired: list[int] = field(default_factory=list)

    def matches(self, call: SandboxRequest, template: str) -> bool:
        """Whether this rule looks at *call*; ``path`` is a glob over the real path or the template."""
        if self.method not in ("*", call.method):
            return False
        return fnmatchcase(call.path, self.path) or fnmatchcase(template, self.path)

    def as_json(self) -> dict[str, Any]:
        """The rule and its counts."""
        return {
            "id": self.id,
            "do": self.do,
            "when": self.when,
            "match": {"method": self.method, "path": self.path},
            "nth": self.nth,
            "times": self.times,
            "seen": self.seen,
            "fired": list(self.fired),
        }


class FaultRules:
    """The rules in force."""

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []
        self._last_id = 0

    def add(self, rule: dict[str, Any]) -> FaultRule:
        """Add a rule.

        :raises ValueError: it is not one.
        """
        fault = _read(rule, self._last_id + 1)
        self._last_id = fault.id
        self._rules.append(fault)
        return fault

    def pick(self, call: SandboxRequest, template: str) -> FaultRule | None:
        """Count *call* in every rule that it matches; gives the first that fires."""
        chosen = None
        for fault in self._rules:
            if not fault.matches(call, template):
                continue
            fault.seen += 1
            due = fault.seen >= fault.nth and (fault.times == 0 or fault.seen < fault.nth + fault.times)
            if due and chosen is None:
                chosen = fault
        return chosen

    def clear(self) -> None:
        """Take all rules away."""
        self._rules.clear()

    def as_json(self) -> list[dict[str, Any]]:
        """All rules with their counts."""
        return [fault.as_json() for fault in self._rules]


def _read(rule: dict[str, Any], number: int) -> FaultRule:
    _known(rule, _KEYS, "a fault")
    match = rule.get("match") or {}
    _known(match, _MATCH_KEYS, "match")
    do = rule.get("do")
    if do not in FAULT_KINDS:
        msg = f"do must be one of {', '.join(FAULT_KINDS)}; not {do!r}"
        raise ValueError(msg)
    when = rule.get("when", "before_accept")
    if when not in WHEN:
        msg = f"when must be one of {', '.join(WHEN)}; not {when!r}"
        raise ValueError(msg)
    default_status = {"status": 503, "token_refused": 401}.get(str(do), 200)
    default_seconds = {"refuse": 1.0, "delay": 1.0, "late_commit": 60.0, "hang": LONGEST_SECONDS}.get(str(do), 0.0)
    return FaultRule(
        id=number,
        do=str(do),
        when=when,
        method=str(match.get("method", "*")).upper(),
        path=str(match.get("path", "*")),
        nth=_whole(rule, "nth", 1, least=1),
        times=_whole(rule, "times", 1, least=0),
        status=_whole(rule, "status", default_status, least=200, most=599),
        retry_after=rule.get("retry_after"),
        seconds=min(_seconds(rule, default_seconds), LONGEST_SECONDS),
        once=bool(rule.get("once", False)),
        message=str(rule.get("message", "")),
    )


def _known(given: Any, known: set[str], what: str) -> None:
    if not isinstance(given, dict) or set(given) - known:
        msg = f"{what} is an object with keys among {', '.join(sorted(known))}"
        raise ValueError(msg)


def _whole(rule: dict[str, Any], name: str, default: int, *, least: int, most: int = 2**31) -> int:
    value = rule.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        msg = f"{name} must be a whole number from {least} to {most}"
        raise ValueError(msg)
    return value


def _seconds(rule: dict[str, Any], default: float) -> float:
    try:
        value = float(rule.get("seconds", default))
    except (TypeError, ValueError):
        value = -1.0
    if not value >= 0:
        msg = "seconds must be a number from 0"
        raise ValueError(msg)
    return value
