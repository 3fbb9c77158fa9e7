"""The sandbox without a socket: request in, response out. HTTP, the admin paths and ``ArmSandbox`` all use it."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import logging
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings
from airflow_provider_arm.sandbox.api import batches
from airflow_provider_arm.sandbox.api.routes import BASE_PATH, TOKEN_PATH, Route, Router
from airflow_provider_arm.sandbox.data import documented, packs
from airflow_provider_arm.sandbox.messages import HttpError, Problem, SandboxRequest, SandboxResponse, json_response
from airflow_provider_arm.sandbox.profile import ProfileTranslator
from airflow_provider_arm.sandbox.state import overview
from airflow_provider_arm.sandbox.state.clock import SandboxClock
from airflow_provider_arm.sandbox.state.context import SandboxContext
from airflow_provider_arm.sandbox.state.faults import FaultRule, FaultRules
from airflow_provider_arm.sandbox.state.identity import TokenService
from airflow_provider_arm.sandbox.state.request_log import RequestLog
from airflow_provider_arm.sandbox.state.store import Store
from airflow_provider_arm.sandbox.state.switches import SwitchValues

log = logging.getLogger(__name__)

#: Upper limit of a seed and of row counts: anything larger is a typo.
MAX_SEED_VALUE = 100_000_000

#: Bytes from which compressing a body makes it shorter.
_MIN_COMPRESSED_BYTES = 200


@dataclass(slots=True)
class PendingRequest:
    """Request that has been received and not yet answered."""

    request: SandboxRequest
    #: Path template of its route; empty for an unknown path.
    template: str
    methods: dict[str, Route] | None
    #: ``"ok"``, ``"-"`` where none is needed, or why the token is refused.
    token_status: str
    fault: FaultRule | None


@dataclass(frozen=True, slots=True)
class SeedOptions:
    """Data that fills the sandbox: seed, pack, numbers of AR items and customers."""

    seed: int = 7
    ar_items: int = 200
    customers: int | None = None
    pack: str = "standard"

    def __post_init__(self) -> None:
        """Raise ValueError, before any data is deleted, if the pack is unknown or a number is out of range."""
        packs.check_pack(self.pack)
        for name, value in (("seed", self.seed), ("ar_items", self.ar_items), ("customers", self.customers)):
            if value is None and name == "customers":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_SEED_VALUE:
                raise ValueError(f"{name} must be a whole number between 0 and {MAX_SEED_VALUE}")


def check_client_numbers(clients: Sequence[int]) -> tuple[int, ...]:
    """Return *clients*; raise ValueError if there is none, one twice, or one that is not a whole number above 0."""
    numbers = tuple(clients)
    for number in numbers:
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise ValueError(f"clients: {number!r} is not a client number; use whole numbers such as 2218")
        if numbers.count(number) > 1:
            raise ValueError(f"clients: {number} is listed twice; list each client number once")
    if not numbers:
        raise ValueError("clients is empty; list at least one client number, or leave it out")
    return numbers


def _derive_seed(seed: int, client_no: int) -> int:
    """Return the seed of one client number, so that data and UUIDs of two client numbers differ."""
    if client_no == documented.CLIENT_NO:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed} {client_no}".encode()).digest()[:8])


class Core:
    """ARM: data of each client number; one clock, request log, set of credentials, switches and faults for all."""

    def __init__(
        self,
        seed: SeedOptions,
        *,
        clients: Sequence[int] = (documented.CLIENT_NO,),
        folder: Path | None = None,
        switches: dict[str, Any] | None = None,
        readings: Readings = DEFAULT_READINGS,
    ) -> None:
        self._lock = threading.RLock()
        self._seed = seed
        self.clock = SandboxClock()
        self._profile = ProfileTranslator(readings)
        limits = {"q04_grace_seconds": readings.batch.not_found_grace, "q16_max_records": readings.batch.max_records}
        self.switches = SwitchValues({**limits, **(switches or {})})
        self.faults = FaultRules()
        self._late: list[tuple[dt.datetime, PendingRequest]] = []
        #: Store of the first client number. It also holds the request log and the seed options.
        self._store = Store(folder)
        self._router = Router()
        stored = json.loads(self._store.get_setting("seed") or "{}")
        if stored:  # the state in the folder overrides the arguments
            clients = stored.pop("clients")
            self._seed = SeedOptions(**stored)
        self.clients = check_client_numbers(clients)
        self._stores = [self._store, *(Store(folder, f"arm-sandbox-{number}.sqlite3") for number in self.clients[1:])]
        self._create_state()
        if not stored:
            self._fill()
        for store in self._stores:
            store.enable_write_ahead_log()

    def _create_state(self) -> None:
        seed = self._seed.seed
        #: Client number as in a path -> its data.
        self._contexts = {
            str(number): SandboxContext(number, _derive_seed(seed, number), store, self.clock, self.switches)
            for number, store in zip(self.clients, self._stores, strict=True)
        }
        self._request_log = RequestLog(self._store, self.clock)
        self._tokens = TokenService(seed)

    def _fill(self) -> None:
        with self._lock, self._transaction():
            for context in self._contexts.values():
                context.store.clear()  # what a start left that was killed
                packs.fill(context, self._seed.pack, self._seed.ar_items, self._seed.customers)
            self._store.set_setting("seed", json.dumps({**asdict(self._seed), "clients": self.clients}))

    def _transaction(self) -> AbstractContextManager[Any]:
        """Return a transaction of every store."""
        if len(self._stores) == 1:
            return self._store.transaction()  # without a stack: each request has three
        with ExitStack() as transactions:
            for store in self._stores:
                transactions.enter_context(store.transaction())
            return transactions.pop_all()

    def _context(self, client_no: int | str | None) -> SandboxContext:
        """Return the data of a client number, ``None``: the first; raise ValueError if it is not in the sandbox."""
        context = self._contexts.get(str(self.clients[0] if client_no is None else client_no))
        if context is None:
            held = ", ".join(self._contexts)
            raise ValueError(f"client_no: {client_no} is not a client number of this sandbox, which has {held}")
        return context

    # -- one request ------------------------------------------------------------------------------------------------

    def receive(self, request: SandboxRequest) -> PendingRequest:
        """Log a complete request under the next number, and choose the fault that applies to it."""
        with self._lock, self._transaction():
            self._process_due()
            routed = replace(request, path=self._profile.translate_path(request.method, request.path))
            route = self._router.find(routed)
            request.path_parameters = routed.path_parameters
            template = route[0] if route else (TOKEN_PATH if request.path == TOKEN_PATH else "")
            header = request.headers.get("authorization")
            is_token_call = template == TOKEN_PATH
            token_status = "-" if is_token_call else self._tokens.token_status(header, self.clock.now())
            fault = self.faults.pick(request, template)
            self._request_log.add(request, template, token_status, fault.do if fault else None)
            if fault:
                fault.fired.append(request.number)
            return PendingRequest(request, template, route[1] if route else None, token_status, fault)

    def process(self, pending: PendingRequest) -> SandboxResponse:
        """Apply the request, and return the response."""
        with self._lock:
            try:
                with self._transaction():
                    self._process_due()
                    response = self._respond(pending)
            except Exception:  # the server survives a defect of a handler, and logs it
                log.exception("The sandbox failed on %s %s", pending.request.method, pending.template)
                response = json_response(500, {"status": "FAILED", "message": "The sandbox failed; see its log"})
            return self._compress(response, pending.request)

    def record_response(self, pending: PendingRequest, status: int, size: int) -> None:
        """Log the status and size of the response that was sent."""
        with self._lock, self._transaction():
            self._request_log.record_response(pending.request.number, status, size)

    def process_later(self, pending: PendingRequest, seconds: float) -> None:
        """Apply the request *seconds* from now, by the sandbox's clock."""
        with self._lock:
            self._late.append((self.clock.now() + dt.timedelta(seconds=seconds), pending))

    def revoke_token(self, pending: PendingRequest) -> None:
        """Revoke the token of this request."""
        with self._lock:
            self._tokens.revoke(pending.request.headers.get("authorization"))

    def handle(self, request: SandboxRequest) -> SandboxResponse:
        """Return the response to a request, without a socket and without faults."""
        pending = self.receive(request)
        response = self.process(pending)
        self.record_response(pending, response.status, len(response.body))
        return response

    def _respond(self, pending: PendingRequest) -> SandboxResponse:
        # Handlers raise before they write: a refused request leaves nothing behind but its log entry.
        try:
            return self._dispatch(pending)
        except HttpError as error:
            return self._error_response(error)

    def _dispatch(self, pending: PendingRequest) -> SandboxResponse:
        request = pending.request
        if pending.template == TOKEN_PATH:
            if request.method != "POST":
                raise _method_not_allowed(request.method, ["POST"])
            request = self._profile.translate_request(request, None)
            return self._tokens.issue(request, self.clock.now(), self.switches["token_life"])
        if pending.methods is None:
            raise HttpError(404, "There is no such path", [Problem("Path", "unknown")])
        route = pending.methods.get(request.method)
        if route is None:
            raise _method_not_allowed(request.method, sorted(pending.methods))
        context = self._authorize(pending) if route.needs_token else self._context(None)
        try:
            response = route.handler(context, self._profile.translate_request(request, route))
        except HttpError as error:
            raise self._profile.translate_error(error) from None
        return self._profile.translate_response(request, route, response)

    def _authorize(self, pending: PendingRequest) -> SandboxContext:
        """Return the data of the client number in the path."""
        status = pending.token_status
        if status != "ok":
            raise HttpError(401, f"Unauthorized: the token is {status}", [Problem("Authorization", status)])
        client_no = pending.request.path_parameters["clientno"]
        if not (client_no.isascii() and client_no.isdigit()):
            raise HttpError(400, "clientno must be a whole number", [Problem("Clientno", "must be a whole number")])
        context = self._contexts.get(client_no)
        if context is None:
            raise HttpError(403, "No access to this client", [Problem("Clientno", "no access")])
        return context

    def _error_response(self, error: HttpError) -> SandboxResponse:
        headers = {"allow": ", ".join(error.extra.pop("allow"))} if "allow" in error.extra else {}
        variant = self.switches["q06_error_body"]
        if variant == "empty":
            return SandboxResponse(error.status, b"", headers=headers)
        if variant == "html":
            page = f"<html><body><h1>{error.status}</h1></body></html>".encode()
            return SandboxResponse(error.status, page, "text/html; charset=utf-8", headers)
        if variant == "text":
            return SandboxResponse(error.status, error.message.encode(), "text/plain; charset=utf-8", headers)
        return SandboxResponse(error.status, money.encode(error.body()), headers=headers)

    def _compress(self, response: SandboxResponse, request: SandboxRequest) -> SandboxResponse:
        accepted = self.switches["q14_gzip"] and "gzip" in request.headers.get("accept-encoding", "")
        if accepted and len(response.body) >= _MIN_COMPRESSED_BYTES:
            response.body = gzip.compress(response.body, compresslevel=1, mtime=0)
            response.headers = {**response.headers, "content-encoding": "gzip", "vary": "accept-encoding"}
        return response

    def _process_due(self) -> None:
        """Process the delayed requests and the batches that are due by the clock."""
        now = self.clock.now()
        due = [entry for entry in self._late if entry[0] <= now]
        if due:
            self._late = [entry for entry in self._late if entry[0] > now]
            for _, pending in due:
                self._respond(pending)
        for context in self._contexts.values():
            batches.process_due_batches(context)

    # -- for tests and the admin paths ---------------------------------------------------------------------------------

    def process_due(self) -> None:
        """Process everything that is due by the clock."""
        with self._lock, self._transaction():
            self._process_due()

    def ledger(self, client_no: int | str | None = None) -> dict[str, Any]:
        """Return the effect log of a client number: how often each natural key took effect, and by which request."""
        with self._lock, self._transaction():
            self._process_due()
            return self._context(client_no).effects.as_json()

    def requests(self, **filters: Any) -> list[dict[str, Any]]:
        """Return the logged requests; see :meth:`RequestLog.find` for the filters."""
        with self._lock:
            return self._request_log.find(**filters)

    def behave(self, switches: dict[str, Any]) -> dict[str, Any]:
        """Set switches, and return all of them."""
        with self._lock:
            self.switches.change(switches)
            return self.switches.as_json()

    def add_fault(self, rule: dict[str, Any]) -> FaultRule:
        """Add a fault rule."""
        with self._lock:
            return self.faults.add(rule)

    def clear_faults(self) -> None:
        """Remove all fault rules."""
        with self._lock:
            self.faults.clear()

    def reset(self, seed: SeedOptions | None = None) -> None:
        """Reset data, effects, request log, clock, switches and faults; *seed* defaults to the previous one."""
        with self._lock:
            self._seed = seed or self._seed
            self._late.clear()
            self.clock.reset()
            self.switches.reset()
            self.faults.clear()
            self._create_state()
            self._fill()

    def totals(self, client_no: int | str | None = None) -> dict[str, Any]:
        """Return counts, and by currency the sums of amounts and balances, of a client number."""
        with self._lock, self._transaction():
            self._process_due()
            return overview.compute_totals(self._context(client_no))

    def overview(
        self, origin: str, client_no: int | str | None = None, batch_uuid: str | None = None
    ) -> dict[str, Any]:
        """Return everything that the page shows of a client number, or of one of its batches."""
        with self._lock, self._transaction():
            self._process_due()
            shown = overview.build_overview(
                self._context(client_no), origin + BASE_PATH, origin + TOKEN_PATH, batch_uuid
            )
            shown["clients"] = self.clients
            for rule in self.faults.as_json():
                shown["non_default"].append(f"fault {rule['do']} {rule['when']} (fired {len(rule['fired'])})")
            shown["requests"] = list(reversed(self._request_log.find(last=overview.MAX_REQUESTS)))
            return shown

    @property
    def seed(self) -> SeedOptions:
        """Options that filled the sandbox."""
        return self._seed

    def close(self) -> None:
        """Close the databases."""
        with self._lock:
            for store in self._stores:
                store.close()


def _method_not_allowed(method: str, allowed: list[str]) -> HttpError:
    return HttpError(405, f"{method} is not allowed here", [Problem("Method", "not allowed")], allow=allowed)
