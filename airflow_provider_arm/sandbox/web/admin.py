"""The admin paths under ``/__sandbox__/``: the same as the methods of ``ArmSandbox``, over HTTP."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from airflow_provider_arm.sandbox.core import Core, SeedOptions
from airflow_provider_arm.sandbox.data.packs import PACKS
from airflow_provider_arm.sandbox.messages import HttpError, SandboxRequest, SandboxResponse, json_response
from airflow_provider_arm.sandbox.state import overview
from airflow_provider_arm.sandbox.state.clock import stamp
from airflow_provider_arm.sandbox.state.faults import FAULT_KINDS
from airflow_provider_arm.sandbox.state.switches import SWITCHES
from airflow_provider_arm.sandbox.web import openapi

PREFIX = "/__sandbox__/"
HOME = "/"
OPENAPI = "/openapi.json"

#: The page loads nothing from elsewhere, and nobody puts it in a frame.
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'self' 'unsafe-inline' data:; frame-ancestors 'none'",
    "cache-control": "no-store",
}

#: Journal filters whose values are numbers.
_NUMBERS = frozenset({"n", "status", "after", "last", "bytes_in", "bytes_out"})


class AdminApi:
    """Answers the admin paths. No token is needed: the sandbox listens on the loopback."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._paths: dict[str, dict[str, Callable[[SandboxRequest], Any]]] = {
            "reset": {"POST": self._reset},
            "seed": {"GET": self._show_seed, "POST": self._seed},
            "clock": {"GET": self._show_clock, "POST": self._move_clock},
            "behaviour": {"GET": self._show_switches, "POST": self._behave},
            "faults": {"GET": self._show_faults, "POST": self._add_fault, "DELETE": self._clear_faults},
            "requests": {"GET": self._requests},
            "ledger": {"GET": lambda _: self._core.ledger()},
            "overview": {"GET": lambda call: self._core.overview(call.origin)},
            "totals": {"GET": lambda _: self._core.totals()},
        }

    def knows(self, path: str) -> bool:
        """Whether *path* is ours and not ARM's."""
        return path.startswith(PREFIX) or path in (HOME, OPENAPI)

    def handle(self, call: SandboxRequest) -> SandboxResponse:
        """Answer one call."""
        if call.path in (HOME, OPENAPI) and call.method != "GET":
            return json_response(405, {"error": "use GET"}, allow="GET")
        if call.path == OPENAPI:
            return json_response(200, openapi.document(call.origin))
        if call.path == HOME:
            return SandboxResponse(200, overview.HTML, "text/html; charset=utf-8", dict(_PAGE_HEADERS))
        if call.method != "GET" and call.headers.get("origin", call.origin) != call.origin:
            return json_response(403, {"error": "a page from elsewhere may not change the sandbox"})
        methods = self._paths.get(call.path.removeprefix(PREFIX).rstrip("/"))
        if methods is None:
            return json_response(404, {"error": f"there are: {', '.join(PREFIX + name for name in self._paths)}"})
        method = methods.get("POST" if call.method == "PUT" else call.method)
        if method is None:
            return json_response(405, {"error": f"use {' or '.join(methods)}"}, allow=", ".join(methods))
        try:
            return json_response(200, method(call))
        except HttpError as refusal:
            return json_response(refusal.status, {"error": refusal.message})
        except (ValueError, TypeError, OverflowError) as error:
            return json_response(400, {"error": str(error)})

    def _body(self, call: SandboxRequest) -> dict[str, Any]:
        body = plain(call.json()) if call.body else {}
        if not isinstance(body, dict):
            raise HttpError(400, "the body must be an object")
        return body

    def _reset(self, _: SandboxRequest) -> dict[str, Any]:
        self._core.reset()
        return {"seed": _seed_json(self._core.seed)}

    def _show_seed(self, _: SandboxRequest) -> dict[str, Any]:
        return {"seed": _seed_json(self._core.seed), "packs": PACKS}

    def _seed(self, call: SandboxRequest) -> dict[str, Any]:
        body = self._body(call)
        try:
            seed = SeedOptions(**{**_seed_json(self._core.seed), **body})
        except TypeError:
            msg = f"a seed has the keys {', '.join(_seed_json(self._core.seed))}"
            raise ValueError(msg) from None
        self._core.reset(seed)
        return {"seed": _seed_json(self._core.seed)}

    def _show_clock(self, _: SandboxRequest) -> dict[str, Any]:
        clock = self._core.clock
        return {"now": stamp(clock.now()), "stopped": clock.stopped}

    def _move_clock(self, call: SandboxRequest) -> dict[str, Any]:
        body = self._body(call)
        known = {"advance", "set", "run"}
        if not body or set(body) - known:
            msg = 'give {"advance": seconds}, {"set": "2026-01-31T12:00:00+01:00"} (stops the clock) or {"run": true}'
            raise ValueError(msg)
        if "set" in body:
            self._core.clock.set(dt.datetime.fromisoformat(str(body["set"])))
        if "advance" in body:
            self._core.clock.advance(float(body["advance"]))
        if body.get("run"):
            self._core.clock.run()
        self._core.settled()
        return self._show_clock(call)

    def _show_switches(self, _: SandboxRequest) -> dict[str, Any]:
        meanings = {switch.name: switch.meaning for switch in SWITCHES}
        return {"switches": plain_numbers(self._core.behave({})), "meanings": meanings}

    def _behave(self, call: SandboxRequest) -> dict[str, Any]:
        return {"switches": plain_numbers(self._core.behave(self._body(call)))}

    def _show_faults(self, _: SandboxRequest) -> dict[str, Any]:
        return {"faults": self._core.faults.as_json(), "kinds": FAULT_KINDS}

    def _add_fault(self, call: SandboxRequest) -> dict[str, Any]:
        return {"fault": self._core.add_fault(self._body(call)).as_json()}

    def _clear_faults(self, _: SandboxRequest) -> dict[str, Any]:
        self._core.clear_faults()
        return {"faults": []}

    def _requests(self, call: SandboxRequest) -> dict[str, Any]:
        given: dict[str, Any] = dict(call.parameters())
        filters = {name: int(value) if name in _NUMBERS else value for name, value in given.items()}
        return {"requests": self._core.requests(**filters)}


def _seed_json(seed: SeedOptions) -> dict[str, Any]:
    return {"seed": seed.seed, "ar_items": seed.ar_items, "customers": seed.customers, "pack": seed.pack}


def plain(value: Any) -> Any:
    """Settings are no amounts: a number with a fraction becomes a float."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def plain_numbers(switches: dict[str, Any]) -> dict[str, Any]:
    """The way back: the codec refuses floats, so that no amount can be one."""
    return {name: Decimal(str(value)) if isinstance(value, float) else value for name, value in switches.items()}
