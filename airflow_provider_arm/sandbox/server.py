"""``ArmSandbox``: the sandbox as an HTTP server in a thread."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from airflow_provider_arm.client.readings import Readings
from airflow_provider_arm.sandbox.data import documented

try:
    import stdnum  # noqa: F401 - if it is missing, importing the sandbox fails, not a batch
    import uvicorn
except ImportError as error:  # pragma: no cover - shown by a test in a process without them
    _missing = f"The sandbox needs {error.name}: pip install 'airflow-provider-arm[sandbox]'"
    raise ImportError(_missing) from None

from airflow_provider_arm.sandbox.api.routes import BASE_PATH, TOKEN_PATH
from airflow_provider_arm.sandbox.core import Core, SeedOptions, check_client_numbers
from airflow_provider_arm.sandbox.state.identity import CLIENT_ID, CLIENT_SECRET, airflow_connection
from airflow_provider_arm.sandbox.state.switches import BATCH_DELAY
from airflow_provider_arm.sandbox.web.admin import AdminApi
from airflow_provider_arm.sandbox.web.http import SandboxApplication, SandboxProtocol

#: Seconds that an idle connection stays open: longer than any pause of a test, so that no request meets a connection
#: that is just being closed.
KEEP_ALIVE = 75

#: Connections that may wait to be accepted: a test may open a thousand at once.
BACKLOG = 2048

#: Seconds to wait for the thread at start and stop; both take well under one.
_THREAD_TIMEOUT = 30.0


class ArmSandbox:
    """Stand-in for ARM on ``http://host:port``.

    >>> with ArmSandbox(seed=7, ar_items=200) as box:
    ...     box.connection()["conn_type"]
    'arm'

    :param seed: the same seed gives the same AR items, tokens and UUIDs.
    :param ar_items: number of AR items, including the documented one.
    :param batch_delay: seconds by the sandbox's clock from the submission of a batch to its result. Default: 1, because
        ARM does not process a batch immediately. With 0, for fast tests, the first poll finds the result.
    :param port: 0 for any free port.
    :param state_dir: folder that stores the state; ``None``: in memory. State that is stored there overrides the other
        arguments.
    :param switches: switches by name, see ``airflow_provider_arm.sandbox.state.switches``.
    :param customers: number of customers; ``None``: an eighth of the AR items.
    :param pack: kind of data, see ``airflow_provider_arm.sandbox.data.packs``.
    :param readings: readings profile that the sandbox follows, such as ``{"batch": {"success_words": ["COMPLETED"]}}``.
        The connection needs the same one.
    :param client_no: client number; ``None``: that of ARM's reference, 2218.
    :param clients: several client numbers, such as ``[2218, 2219]``; the first one becomes ``client_no``. Each has data
        of its own, which depends on the seed and the client number. Credentials, clock, request log, switches and
        faults are shared. Default: only ``client_no``.
    :raises ArmConfigurationError: an entry of the profile is unknown or invalid.
    :raises ValueError: another argument is not valid.
    """

    client_id = CLIENT_ID
    client_secret = CLIENT_SECRET

    def __init__(  # noqa: PLR0917 - each is one property of the data or the server, and has a default
        self,
        seed: int = 7,
        ar_items: int = 200,
        batch_delay: float = BATCH_DELAY,
        port: int = 0,
        host: str = "127.0.0.1",
        state_dir: str | Path | None = None,
        switches: dict[str, Any] | None = None,
        client_no: int | None = None,
        *,
        customers: int | None = None,
        pack: str = "standard",
        readings: Mapping[str, Any] | None = None,
        clients: Sequence[int] | None = None,
    ) -> None:
        self._seed = SeedOptions(seed, ar_items, customers, pack)
        self._folder = None if state_dir is None else Path(state_dir)
        self._switches = {"batch_delay": batch_delay, **(switches or {})}
        self._readings = Readings.parse(readings or {}, "readings of the sandbox")
        self._host, self._port = host, port
        first = documented.CLIENT_NO if client_no is None else client_no
        self.clients = check_client_numbers([first] if clients is None else clients)
        if client_no not in (None, self.clients[0]):
            raise ValueError(
                f"client_no is {client_no}, but the first of clients is {self.clients[0]}; use one of both"
            )
        self._core: Core | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    # -- start and stop ---------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start the server; does nothing if it is running."""
        if self._thread is not None:
            return self
        listener = _listener(self._host, self._port)
        self._port = listener.getsockname()[1]
        try:
            self._core = Core(
                self._seed, clients=self.clients, folder=self._folder, switches=self._switches, readings=self._readings
            )
        except BaseException:
            listener.close()
            raise
        self.clients = self._core.clients
        application = SandboxApplication(self._core, AdminApi(self._core))
        self._server = _Server(application, self._host, self._port)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="arm-sandbox", daemon=True)
        self._thread.start()
        if not self._server.listening.wait(_THREAD_TIMEOUT):  # pragma: no cover - an overloaded machine
            raise RuntimeError("the sandbox did not start")
        return self

    def stop(self) -> None:
        """Close every connection and stop the server; does nothing if it is stopped."""
        if self._server is None or self._thread is None or self._core is None:
            return
        self._server.shut_down()
        self._thread.join(_THREAD_TIMEOUT)
        self._core.close()
        self._server = self._thread = self._core = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- addresses ---------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """``http://host:port``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        host = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - compared, not bound
        return f"http://{host}:{self._port}"

    @property
    def base_url(self) -> str:
        """ARM's base URL."""
        return self.url + BASE_PATH

    @property
    def auth_url(self) -> str:
        """Address of the token call."""
        return self.url + TOKEN_PATH

    @property
    def client_no(self) -> int:
        """First client number: that of the connection."""
        return self.clients[0]

    def connection(self) -> dict[str, Any]:
        """Return the Airflow connection, in the form of ``AIRFLOW_CONN_ARM_DEFAULT`` as JSON."""
        return airflow_connection(self.client_no, self.base_url, self.auth_url)

    # -- for tests --------------------------------------------------------------------------------------------

    @property
    def core(self) -> Core:
        """The sandbox without its socket."""
        if self._core is None:
            raise RuntimeError("the sandbox is not running")
        return self._core

    def now(self) -> dt.datetime:
        """Return the time of the sandbox's clock."""
        return self.core.clock.now()

    def advance(self, seconds: float) -> None:
        """Advance the clock, and process what becomes due."""
        self.core.clock.advance(seconds)
        self.core.process_due()

    def set_time(self, moment: dt.datetime) -> None:
        """Set the clock and stop it there; ``advance`` still moves it."""
        self.core.clock.set(moment)
        self.core.process_due()

    def behave(self, **switches: Any) -> None:
        """Set switches, such as ``behave(q10_next_page="absent", batch_delay=5)``."""
        self.core.behave(switches)

    def fault(self, rule: dict[str, Any]) -> int:
        """Add a fault rule, such as ``{"match": {"method": "POST"}, "when": "after_accept", "do": "reset"}``."""
        return self.core.add_fault(rule).id

    def faults(self) -> list[dict[str, Any]]:
        """Return the fault rules with their counts."""
        return self.core.faults.as_json()

    def clear_faults(self) -> None:
        """Remove all fault rules, and listen again if one has closed the listener."""
        self.core.clear_faults()
        if self._server is not None:
            self._server.listen_again()

    def requests(self, **filters: Any) -> list[dict[str, Any]]:
        """Return the logged requests, filtered by any column, ``after`` a request number, or the ``last`` N."""
        return self.core.requests(**filters)

    def ledger(self, client_no: int | None = None) -> dict[str, Any]:
        """Return the effect log: how often each natural key took effect, and by which request.

        :param client_no: one of ``clients``; ``None``: the first.
        """
        return self.core.ledger(client_no)

    def totals(self, client_no: int | None = None) -> dict[str, Any]:
        """Return counts, and by currency the sums of amounts and balances, of a client number as in ``ledger``."""
        return self.core.totals(client_no)

    def reset(self) -> None:
        """Reset everything to the state after the start."""
        self.clear_faults()
        self.core.reset()


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


class _Server(uvicorn.Server):
    """uvicorn server in a thread, with a listener that can be closed and opened again."""

    def __init__(self, application: SandboxApplication, host: str, port: int) -> None:
        config = uvicorn.Config(
            application,
            http=SandboxProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
        )
        super().__init__(config)
        self.listening = threading.Event()
        self._address = (host, port)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reopening: asyncio.TimerHandle | None = None
        application.refuse = self._refuse

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and set ``listening``."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.listening.set()

    def shut_down(self) -> None:
        """Stop without waiting for open requests."""
        self.should_exit = self.force_exit = True
        self._call_in_loop(self._abort_connections)

    def listen_again(self) -> None:
        """Open the listener if a fault has closed it, and wait until it is open."""
        if not self.listening.is_set():
            self._call_in_loop(self._open)
            self.listening.wait(_THREAD_TIMEOUT)

    def _call_in_loop(self, callback: Callable[[], None]) -> None:
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(callback)

    def _abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def _refuse(self, seconds: float) -> None:
        self.listening.clear()
        for listener in self.servers:
            listener.close()
        self.servers.clear()
        loop = asyncio.get_running_loop()
        self._reopening = loop.call_later(seconds, self._open)

    def _open(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None
        if not self.listening.is_set() and not self.should_exit:
            task = asyncio.get_running_loop().create_task(self._listen())
            self.server_state.tasks.add(task)
            task.add_done_callback(self.server_state.tasks.discard)

    async def _listen(self) -> None:
        listener = _listener(*self._address)
        state: dict[str, Any] = {}
        make = partial(SandboxProtocol, config=self.config, server_state=self.server_state, app_state=state)
        self.servers.append(await asyncio.get_running_loop().create_server(make, sock=listener))
        self.listening.set()
