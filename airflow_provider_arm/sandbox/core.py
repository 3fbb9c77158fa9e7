"""The sandbox without a socket: takes a call, gives an answer. HTTP, the admin paths and Python all go through here."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import logging
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.api import batches
from airflow_provider_arm.sandbox.api.routes import BASE, TOKEN, Route, Router
from airflow_provider_arm.sandbox.data import documented, packs
from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, SandboxResponse, json_response
from airflow_provider_arm.sandbox.state import overview
from airflow_provider_arm.sandbox.state.clock import SandboxClock
from airflow_provider_arm.sandbox.state.context import SandboxContext
from airflow_provider_arm.sandbox.state.faults import FaultRule, FaultRules
from airflow_provider_arm.sandbox.state.identity import TokenService
from airflow_provider_arm.sandbox.state.request_log import RequestLog
from airflow_provider_arm.sandbox.state.store import Store
from airflow_provider_arm.sandbox.state.switches import SwitchValues

log = logging.getLogger(__name__)

#: More rows than this, or a larger seed, is a typo.
MOST = 100_000_000

#: A body smaller than this does not get shorter by compressing it.
_WORTH_COMPRESSING = 200


@dataclass(slots=True)
class PendingRequest:
    """A request that has come in and is not answered yet."""

    call: SandboxRequest
    template: str
    methods: dict[str, Route] | None
    token: str
    fault: FaultRule | None


@dataclass(frozen=True, slots=True)
class SeedOptions:
    """What fills the sandbox."""

    seed: int = 7
    ar_items: int = 200
    customers: int | None = None
    pack: str = "standard"

    def __post_init__(self) -> None:
        """Refuse what fills nothing, before anything is thrown away for it."""
        packs.known(self.pack)
        for name, value in (("seed", self.seed), ("ar_items", self.ar_items), ("customers", self.customers)):
            if value is None and name == "customers":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
                msg = f"{name} must be a whole number from 0 to {MOST}"
                raise ValueError(msg)


class Core:
    """One client's ARM."""

    def __init__(
        self,
        seed: SeedOptions,
        *,
        client_no: int = documented.CLIENT_NO,
        folder: Path | None = None,
        switches: dict[str, Any] | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._seed = seed
        self.clock = SandboxClock()
        self.switches = SwitchValues(switches)
        self.faults = FaultRules()
        self._late: list[tuple[dt.datetime, PendingRequest]] = []
        self._store = Store(folder)
        self._router = Router()
        kept = self._store.note("seed")
        if kept is None:
            self._begin(seed, client_no)
            self._fill(seed)
        else:  # what the folder holds goes before what is asked for
            found = json.loads(kept)
            client_no = found.pop("client_no")
            self._seed = SeedOptions(**found)
            self._begin(self._seed, client_no)
        self._store.write_ahead()

    def _begin(self, seed: SeedOptions, client_no: int) -> None:
        self.client_no = client_no
        self._context = SandboxContext(client_no, seed.seed, self._store, self.clock, self.switches)
        self._journal = RequestLog(self._store, self.clock)
        self._identity = TokenService(seed.seed)

    def _fill(self, seed: SeedOptions) -> None:
        with self._store.transaction():
            packs.fill(self._context, seed.pack, seed.ar_items, seed.customers)
            self._store.set_note("seed", json.dumps({**asdict(seed), "client_no": self.client_no}))

    # -- one request ------------------------------------------------------------------------------------------------

    def open(self, call: SandboxRequest) -> PendingRequest:
        """A request has come in whole: number it, write it down, see whether a fault is meant for it."""
        with self._lock, self._store.transaction():
            self._catch_up()
            found = self._router.find(call)
            template = found[0] if found else (TOKEN if call.path == TOKEN else "")
            header = call.headers.get("authorization")
            token = "-" if template == TOKEN else self._identity.verdict(header, self.clock.now())
            fault = self.faults.pick(call, template)
            self._journal.open(call, template, token, fault.do if fault else None)
            if fault:
                fault.fired.append(call.number)
            return PendingRequest(call, template, found[1] if found else None, token, fault)

    def take(self, ticket: PendingRequest) -> SandboxResponse:
        """ARM takes the request: it has its effect, and this is the answer."""
        with self._lock:
            try:
                with self._store.transaction():
                    self._catch_up()
                    given = self._answer(ticket)
            except Exception:  # the server must outlive every fault of ours, and say so
                log.exception("The sandbox failed on %s %s", ticket.call.method, ticket.template)
                given = json_response(500, {"status": "FAILED", "message": "The sandbox failed; see its log"})
            return self._compressed(given, ticket.call)

    def close(self, ticket: PendingRequest, status: int, size: int) -> None:
        """The request has been answered with *status*."""
        with self._lock, self._store.transaction():
            self._journal.close(ticket.call.number, status, size)

    def take_late(self, ticket: PendingRequest, seconds: float) -> None:
        """The request takes effect *seconds* from now, on the sandbox's clock."""
        with self._lock:
            self._late.append((self.clock.now() + dt.timedelta(seconds=seconds), ticket))

    def withdraw_token(self, ticket: PendingRequest) -> None:
        """The token of this request is refused from now on."""
        with self._lock:
            self._identity.refuse(ticket.call.headers.get("authorization"))

    def handle(self, call: SandboxRequest) -> SandboxResponse:
        """The whole way of a request, without a socket and without faults."""
        ticket = self.open(call)
        given = self.take(ticket)
        self.close(ticket, given.status, len(given.body))
        return given

    def _answer(self, ticket: PendingRequest) -> SandboxResponse:
        # Handlers refuse before they write, so what a refused call leaves behind is only that it was looked at.
        try:
            return self._dispatch(ticket)
        except HttpError as refusal:
            return self._refused(refusal)

    def _dispatch(self, ticket: PendingRequest) -> SandboxResponse:
        call = ticket.call
        if ticket.template == TOKEN:
            if call.method != "POST":
                raise _wrong_method(call.method, ["POST"])
            return self._identity.issue(call, self.clock.now(), self.switches["token_life"])
        if ticket.methods is None:
            raise HttpError(404, "There is no such path", [Problem("Path", "unknown")])
        route = ticket.methods.get(call.method)
        if route is None:
            raise _wrong_method(call.method, sorted(ticket.methods))
        if route.needs_token:
            self._admit(ticket)
        return route.handler(self._context, call)

    def _admit(self, ticket: PendingRequest) -> None:
        if ticket.token != "ok":  # noqa: S105 - the verdict on it
            raise HttpError(401, f"Unauthorized: the token is {ticket.token}", [Problem("Authorization", ticket.token)])
        client_no = ticket.call.values["clientno"]
        if not (client_no.isascii() and client_no.isdigit()):
            raise HttpError(400, "clientno must be a whole number", [Problem("Clientno", "must be a whole number")])
        if client_no != str(self.client_no):
            raise HttpError(403, "No access to this client", [Problem("Clientno", "no access")])

    def _refused(self, refusal: HttpError) -> SandboxResponse:
        headers = {"allow": ", ".join(refusal.also.pop("allow"))} if "allow" in refusal.also else {}
        choice = self.switches["q06_error_body"]
        if choice == "empty":
            return SandboxResponse(refusal.status, b"", headers=headers)
        if choice == "html":
            page = f"<html><body><h1>{refusal.status}</h1></body></html>".encode()
            return SandboxResponse(refusal.status, page, "text/html; charset=utf-8", headers)
        if choice == "text":
            return SandboxResponse(refusal.status, refusal.message.encode(), "text/plain; charset=utf-8", headers)
        return SandboxResponse(refusal.status, money.encode(refusal.body()), headers=headers)

    def _compressed(self, given: SandboxResponse, call: SandboxRequest) -> SandboxResponse:
        wanted = self.switches["q14_gzip"] and "gzip" in call.headers.get("accept-encoding", "")
        if wanted and len(given.body) >= _WORTH_COMPRESSING:
            given.body = gzip.compress(given.body, compresslevel=1, mtime=0)
            given.headers = {**given.headers, "content-encoding": "gzip", "vary": "accept-encoding"}
        return given

    def _catch_up(self) -> None:
        """Do what the clock has made due: late requests and batches."""
        now = self.clock.now()
        due = [entry for entry in self._late if entry[0] <= now]
        if due:
            self._late = [entry for entry in self._late if entry[0] > now]
            for _, ticket in due:
                self._answer(ticket)
        batches.process_due(self._context)

    # -- what tests and the admin paths use ---------------------------------------------------------------------------

    def settled(self) -> None:
        """Do all that is due."""
        with self._lock, self._store.transaction():
            self._catch_up()

    def ledger(self) -> dict[str, Any]:
        """How often each natural key took effect."""
        with self._lock, self._store.transaction():
            self._catch_up()
            return self._context.ledger.as_json()

    def requests(self, **filters: Any) -> list[dict[str, Any]]:
        """The request journal."""
        with self._lock:
            return self._journal.find(**filters)

    def behave(self, switches: dict[str, Any]) -> dict[str, Any]:
        """Change switches; gives all of them."""
        with self._lock:
            self.switches.change(switches)
            return self.switches.as_json()

    def add_fault(self, rule: dict[str, Any]) -> FaultRule:
        """Add a fault rule."""
        with self._lock:
            return self.faults.add(rule)

    def clear_faults(self) -> None:
        """Take all fault rules away."""
        with self._lock:
            self.faults.clear()

    def reset(self, seed: SeedOptions | None = None) -> None:
        """Back to the start: data, ledger, journal, clock, switches, faults. Another *seed* fills it anew."""
        with self._lock:
            self._seed = seed or self._seed
            self._late.clear()
            self.clock.reset()
            self.switches.reset()
            self.faults.clear()
            with self._store.transaction():
                self._store.clear()
                self._begin(self._seed, self.client_no)
                self._fill(self._seed)

    def totals(self) -> dict[str, Any]:
        """What the page shows: counts, and per currency the sums of amounts and balances."""
        with self._lock, self._store.transaction():
            self._catch_up()
            return overview.totals(self._context)

    def overview(self, origin: str) -> dict[str, Any]:
        """What the page shows."""
        with self._lock, self._store.transaction():
            self._catch_up()
            shown = overview.gather(self._context, origin, BASE, TOKEN)
            faults = [
                f"fault {rule['do']} {rule['when']} (fired {len(rule['fired'])})" for rule in self.faults.as_json()
            ]
            shown["unusual"] += faults
            shown["requests"] = list(reversed(self._journal.find(last=overview.REQUESTS)))
            return shown

    @property
    def seed(self) -> SeedOptions:
        """What filled the sandbox."""
        return self._seed

    def shut(self) -> None:
        """Close the file."""
        with self._lock:
            self._store.close()


def _wrong_method(method: str, allowed: list[str]) -> HttpError:
    return HttpError(405, f"{method} is not allowed here", [Problem("Method", "not allowed")], allow=allowed)
