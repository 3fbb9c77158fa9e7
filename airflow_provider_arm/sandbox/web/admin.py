"""Admin paths under ``/__sandbox__/``: the methods of ``ArmSandbox`` over HTTP."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from airflow_provider_arm.sandbox.core import Core, SeedOptions
from airflow_provider_arm.sandbox.data.packs import PACKS
from airflow_provider_arm.sandbox.messages import HttpError, SandboxRequest, SandboxResponse, json_response
from airflow_provider_arm.sandbox.state import overview
from airflow_provider_arm.sandbox.state.clock import format_timestamp
from airflow_provider_arm.sandbox.state.faults import FAULT_KINDS
from airflow_provider_arm.sandbox.state.switches import SWITCHES
from airflow_provider_arm.sandbox.web import openapi

PREFIX = "/__sandbox__/"
HOME = "/"
OPENAPI = "/openapi.json"

#: The page loads nothing from other origins and cannot be framed.
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'self' 'unsafe-inline' data:; frame-ancestors 'none'",
    "cache-control": "no-store",
}

#: Filters of the request log whose values are numbers.
_NUMERIC_FILTERS = frozenset({"n", "status", "after", "last", "bytes_in", "bytes_out"})


class AdminApi:
    """Handlers of the admin paths. They need no token: the sandbox listens on the loopback interface."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._paths: dict[str, dict[str, Callable[[SandboxRequest], Any]]] = {
            "reset": {"POST": self._reset},
            "seed": {"GET": self._show_seed, "POST": self._seed},
            "clock": {"GET": self._show_clock, "POST": self._move_clock},
            "behaviour": {"GET": self._show_switches, "POST": self._change_switches},
            "faults": {"GET": self._show_faults, "POST": self._add_fault, "DELETE": self._clear_faults},
            "requests": {"GET": self._requests},
            "ledger": {"GET": lambda request: self._core.ledger(_client_no(request))},
            "overview": {"GET": self._overview},
            "totals": {"GET": lambda request: self._core.totals(_client_no(request))},
        }

    def serves(self, path: str) -> bool:
        """Return whether *path* is an admin path and not one of ARM's."""
        return path.startswith(PREFIX) or path in (HOME, OPENAPI)

    def handle(self, request: SandboxRequest) -> SandboxResponse:
        """Return the response to one request."""
        if request.path in (HOME, OPENAPI) and request.method != "GET":
            return json_response(405, {"error": "use GET"}, allow="GET")
        if request.path == OPENAPI:
            return json_response(200, openapi.document(request.origin))
        if request.path == HOME:
            return SandboxResponse(200, overview.HTML, "text/html; charset=utf-8", dict(_PAGE_HEADERS))
        if request.method != "GET" and request.headers.get("origin", request.origin) != request.origin:
            return json_response(403, {"error": "a page of another origin must not change the sandbox"})
        methods = self._paths.get(request.path.removeprefix(PREFIX).rstrip("/"))
        if methods is None:
            return json_response(404, {"error": f"known paths: {', '.join(PREFIX + name for name in self._paths)}"})
        method = methods.get("POST" if request.method == "PUT" else request.method)
        if method is None:
            return json_response(405, {"error": f"use {' or '.join(methods)}"}, allow=", ".join(methods))
        try:
            return json_response(200, method(request))
        except HttpError as error:
            return json_response(error.status, {"error": error.message})
        except (ValueError, TypeError, OverflowError) as error:
            return json_response(400, {"error": str(error)})

    def _body(self, request: SandboxRequest) -> dict[str, Any]:
        body = to_floats(request.json()) if request.body else {}
        if not isinstance(body, dict):
            raise HttpError(400, "the body must be an object")
        return body

    def _reset(self, _: SandboxRequest) -> dict[str, Any]:
        self._core.reset()
        return {"seed": asdict(self._core.seed)}

    def _show_seed(self, _: SandboxRequest) -> dict[str, Any]:
        return {"seed": asdict(self._core.seed), "packs": PACKS}

    def _seed(self, request: SandboxRequest) -> dict[str, Any]:
        body = self._body(request)
        try:
            seed = SeedOptions(**{**asdict(self._core.seed), **body})
        except TypeError:
            raise ValueError(f"a seed has only the keys {', '.join(asdict(self._core.seed))}") from None
        self._core.reset(seed)
        return {"seed": asdict(self._core.seed)}

    def _show_clock(self, _: SandboxRequest) -> dict[str, Any]:
        clock = self._core.clock
        return {"now": format_timestamp(clock.now()), "stopped": clock.stopped}

    def _move_clock(self, request: SandboxRequest) -> dict[str, Any]:
        body = self._body(request)
        known = {"advance", "set", "run"}
        if not body or set(body) - known:
            raise ValueError(
                'expected {"advance": seconds}, {"set": "2026-01-31T12:00:00+01:00"} (stops the clock) or {"run": true}'
            )
        if "set" in body:
            self._core.clock.set(dt.datetime.fromisoformat(str(body["set"])))
        if "advance" in body:
            self._core.clock.advance(float(body["advance"]))
        if body.get("run"):
            self._core.clock.run()
        self._core.process_due()
        return self._show_clock(request)

    def _show_switches(self, _: SandboxRequest) -> dict[str, Any]:
        meanings = {switch.name: switch.meaning for switch in SWITCHES}
        return {"switches": to_decimals(self._core.behave({})), "meanings": meanings}

    def _change_switches(self, request: SandboxRequest) -> dict[str, Any]:
        return {"switches": to_decimals(self._core.behave(self._body(request)))}

    def _show_faults(self, _: SandboxRequest) -> dict[str, Any]:
        return {"faults": self._core.faults.as_json(), "kinds": FAULT_KINDS}

    def _add_fault(self, request: SandboxRequest) -> dict[str, Any]:
        return {"fault": self._core.add_fault(self._body(request)).as_json()}

    def _clear_faults(self, _: SandboxRequest) -> dict[str, Any]:
        self._core.clear_faults()
        return {"faults": []}

    def _overview(self, request: SandboxRequest) -> dict[str, Any]:
        return self._core.overview(request.origin, _client_no(request), request.query_parameters().get("batch"))

    def _requests(self, request: SandboxRequest) -> dict[str, Any]:
        parameters: dict[str, Any] = dict(request.query_parameters())
        filters = {name: int(value) if name in _NUMERIC_FILTERS else value for name, value in parameters.items()}
        return {"requests": self._core.requests(**filters)}


def _client_no(request: SandboxRequest) -> str | None:
    """Return the parameter ``client_no``; without it the path is about the first client number."""
    return request.query_parameters().get("client_no")


def to_floats(value: Any) -> Any:
    """Convert decimals to floats: settings are not amounts."""
    if isinstance(value, dict):
        return {key: to_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_floats(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def to_decimals(switches: dict[str, Any]) -> dict[str, Any]:
    """Convert floats to decimals: the codec refuses floats, so that no amount can be one."""
    return {name: Decimal(str(value)) if isinstance(value, float) else value for name, value in switches.items()}
