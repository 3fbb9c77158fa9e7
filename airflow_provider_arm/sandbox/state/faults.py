"""Fault rules: which requests fail, before or after ARM accepts them, and what happens on the connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider_arm.sandbox.messages import SandboxRequest

#: Kinds of fault, and what each does on the connection.
FAULT_KINDS = {
    "refuse": "this connection is reset and new ones are refused, for `seconds` (default 1) of real time",
    "close": "the connection is closed without a byte",
    "reset": "the connection is reset (RST)",
    "hang": "nothing is sent; the connection stays open until the client closes it, or for `seconds`",
    "status": 'a response with `status` (default 503); `retry_after`: seconds, or "date": an HTTP date in `seconds`',
    "html": "an HTML page with `status` (default 200)",
    "empty": "a response with `status` (default 200) and no body",
    "half_header": "the first half of the response's head, then the connection is closed",
    "half_body": "the whole head and half of the body, then the connection is closed",
    "delay": "the response is sent `seconds` (default 1) late",
    "late_commit": "the connection is closed; the request takes effect `seconds` (default 60) later, by the clock",
    "token_refused": "401; unless `once`, the token is refused from now on",
}

WHEN = ("before_accept", "after_accept")

_RULE_KEYS = {"match", "nth", "times", "when", "do", "status", "retry_after", "seconds", "once", "message"}
_MATCH_KEYS = {"method", "path"}

#: Maximum seconds that a fault keeps a connection open: a forgotten rule must not block a test run for ever.
MAX_SECONDS = 3600.0


@dataclass(slots=True)
class FaultRule:
    """One fault rule, and how often it matched and fired."""

    id: int
    do: str
    when: str = "before_accept"
    method: str = "*"
    path: str = "*"
    #: Fires at the nth matching request (from 1) and the ``times - 1`` requests after it; ``times`` 0: for ever.
    nth: int = 1
    times: int = 1
    status: int = 0
    retry_after: Any = None
    seconds: float = 0.0
    once: bool = False
    message: str = ""
    seen: int = 0
    fired: list[int] = field(default_factory=list)

    def matches(self, request: SandboxRequest, template: str) -> bool:
        """Return whether the rule applies to *request*; ``path`` is a glob over the real path or the *template*."""
        if self.method not in ("*", request.method):
            return False
        return fnmatchcase(request.path, self.path) or fnmatchcase(template, self.path)

    def as_json(self) -> dict[str, Any]:
        """Return the rule and its counts."""
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
    """All active fault rules."""

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []
        self._last_id = 0

    def add(self, rule: dict[str, Any]) -> FaultRule:
        """Add a rule; raise ValueError if it is not valid."""
        fault = _parse_rule(rule, self._last_id + 1)
        self._last_id = fault.id
        self._rules.append(fault)
        return fault

    def pick(self, request: SandboxRequest, template: str) -> FaultRule | None:
        """Count *request* in every rule that it matches, and return the first rule that fires."""
        firing = None
        for fault in self._rules:
            if not fault.matches(request, template):
                continue
            fault.seen += 1
            due = fault.seen >= fault.nth and (fault.times == 0 or fault.seen < fault.nth + fault.times)
            if due and firing is None:
                firing = fault
        return firing

    def clear(self) -> None:
        """Remove all rules."""
        self._rules.clear()

    def as_json(self) -> list[dict[str, Any]]:
        """Return all rules with their counts."""
        return [fault.as_json() for fault in self._rules]


def _parse_rule(rule: dict[str, Any], rule_id: int) -> FaultRule:
    _check_keys(rule, _RULE_KEYS, "a fault")
    match = rule.get("match") or {}
    _check_keys(match, _MATCH_KEYS, "match")
    do = rule.get("do")
    if do not in FAULT_KINDS:
        raise ValueError(f"do must be one of {', '.join(FAULT_KINDS)}; not {do!r}")
    when = rule.get("when", "before_accept")
    if when not in WHEN:
        raise ValueError(f"when must be one of {', '.join(WHEN)}; not {when!r}")
    default_status = {"status": 503, "token_refused": 401}.get(str(do), 200)
    default_seconds = {"refuse": 1.0, "delay": 1.0, "late_commit": 60.0, "hang": MAX_SECONDS}.get(str(do), 0.0)
    return FaultRule(
        id=rule_id,
        do=str(do),
        when=when,
        method=str(match.get("method", "*")).upper(),
        path=str(match.get("path", "*")),
        nth=_integer(rule, "nth", 1, minimum=1),
        times=_integer(rule, "times", 1, minimum=0),
        status=_integer(rule, "status", default_status, minimum=200, maximum=599),
        retry_after=rule.get("retry_after"),
        seconds=min(_seconds(rule, default_seconds), MAX_SECONDS),
        once=bool(rule.get("once", False)),
        message=str(rule.get("message", "")),
    )


def _check_keys(value: Any, allowed: set[str], what: str) -> None:
    if not isinstance(value, dict) or set(value) - allowed:
        raise ValueError(f"{what} must be an object whose keys are among {', '.join(sorted(allowed))}")


def _integer(rule: dict[str, Any], name: str, default: int, *, minimum: int, maximum: int = 2**31) -> int:
    value = rule.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise ValueError(f"{name} must be a whole number between {minimum} and {maximum}")
    return value


def _seconds(rule: dict[str, Any], default: float) -> float:
    try:
        value = float(rule.get("seconds", default))
    except (TypeError, ValueError):
        value = -1.0
    if not value >= 0:
        raise ValueError("seconds must be a number, 0 or more")
    return value
