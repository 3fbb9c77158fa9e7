"""The named points at which a process is killed or stopped, and how each is reached in a process that runs our code."""

from __future__ import annotations

import functools
import http.client
import json
import os
import signal
import stat
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

#: In the order in which a task passes them.
EVERYWHERE = (
    "before the journal opens",
    "after the journal opened",
    "before the plan's line",
    "plan's line half written",
    "after the plan's line",
    "before the SENDING line",
    "SENDING line half written",
    "after the SENDING line",
    "headers sent, body not",
    "request sent, answer not awaited",
    "ARM took it, answer not read",
    "answer read, not journalled",
    "ACCEPTED line half written",
    "after the ACCEPTED line",
    "before the XCom",
    "after the XCom",
    "before the journal is released",
    "while waiting",
    "in the rejects file",
    "before the return",
)
DEFERRED_ONLY = ("before deferring", "in the trigger")
#: What a try passes that finds a chunk of documents of which nobody knows: it wonders, looks, and notes what it saw.
LOOKING = (
    "before the UNKNOWN line",
    "UNKNOWN line half written",
    "after the UNKNOWN line",
    "before the look-up",
    "in the look-up",
    "looked, not journalled",
    "RECOVERED line half written",
    "after the RECOVERED line",
)
POINTS = EVERYWHERE + DEFERRED_ONLY + LOOKING
#: Points that are passed once per chunk.
PER_CHUNK = frozenset(point for point in POINTS[5:14])
#: Where a try must have died so that the next one looks.
LOSES = "ARM took it, answer not read"

_LINES = {
    "plan": "plan's line",
    "sending": "SENDING line",
    "accepted": "ACCEPTED line",
    "unknown": "UNKNOWN line",
    "recovered": "RECOVERED line",
}


class Killer:
    """Kills its own process when a point is passed for the *nth* time.

    :param signal_name: ``SIGKILL``, or ``SIGSTOP`` for a process that stands still and then goes on.
    """

    def __init__(self, point: str | None, nth: int, ledger_url: str, signal_name: str = "SIGKILL") -> None:
        self._point, self._nth, self._ledger_url = point, nth, ledger_url
        self._signal = signal.Signals[signal_name]
        self._writing: str | None = None

    def aims_at(self, point: str) -> bool:
        """Count a pass of *point*; tell whether it is the one."""
        if point != self._point:
            return False
        self._nth -= 1
        return self._nth == 0

    def passes(self, point: str) -> None:
        """Die here, if this is the one."""
        if self.aims_at(point):
            self.strike()

    def strike(self) -> None:
        """Die, or stand still until somebody lets the process go on."""
        os.kill(os.getpid(), self._signal)

    def arm(self) -> None:
        """Put the points around our own functions and those of the standard library's HTTP client."""
        self._arm_journal()
        self._arm_rejects()
        self._arm_client()
        self._arm_socket()

    def _around(self, owner: Any, name: str, before: str | None, after: str | None = None) -> None:
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def outer(*args: Any, **kwargs: Any) -> Any:
            if before:
                self.passes(before)
            result = inner(*args, **kwargs)
            if after:
                self.passes(after)
            return result

        setattr(owner, name, outer)

    def _arm_journal(self) -> None:
        from airflow_provider_arm.submission.journal.checksummed_folder import ChecksummedFolder
        from airflow_provider_arm.submission.journal.file_journal import FileJournal

        self._around(FileJournal, "__init__", "before the journal opens", "after the journal opened")
        self._around(FileJournal, "release", "before the journal is released")
        put, sync = ChecksummedFolder.put, os.fsync

        def put_line(folder: Any, name: str, content: dict[str, Any]) -> None:
            line = _LINES.get("plan" if name.startswith("plan") else content.get("state", ""))
            self.passes(f"before the {line}")
            self._writing = line
            put(folder, name, content)
            self._writing = None
            self.passes(f"after the {line}")

        def torn(descriptor: int) -> None:
            state = os.fstat(descriptor)
            if stat.S_ISREG(state.st_mode) and self.aims_at(f"{self._writing} half written"):
                if self._signal == signal.SIGKILL:
                    os.ftruncate(descriptor, state.st_size // 2)
                self.strike()
            sync(descriptor)

        ChecksummedFolder.put, os.fsync = put_line, torn

    def _arm_rejects(self) -> None:
        from airflow_provider_arm.runtime import rejects

        lines = rejects.reject_lines

        def watched(*args: Any) -> Iterator[bytes]:
            for line in lines(*args):
                yield line
                self.passes("in the rejects file")

        rejects.reject_lines = watched

    def _arm_client(self) -> None:
        from airflow_provider_arm.client import ArmClient, AsyncArmClient
        from airflow_provider_arm.runtime import submission

        self._around(ArmClient, "submit_encoded", None, "answer read, not journalled")
        self._around(ArmClient, "get_batch", "while waiting")
        self._around(submission, "look_up", "before the look-up", "looked, not journalled")
        self._around(ArmClient, "get_document", "in the look-up")
        self._around(AsyncArmClient, "get_batch", "in the trigger")

    def _arm_socket(self) -> None:
        connection = http.client.HTTPConnection
        headers, response, request = connection.endheaders, connection.getresponse, connection.putrequest

        def put_request(self_: Any, method: str, url: str, *args: Any, **kwargs: Any) -> None:
            self_.is_batch = method == "POST" and url.endswith("/batches")
            request(self_, method, url, *args, **kwargs)

        def end_headers(self_: Any, *args: Any, **kwargs: Any) -> None:
            headers(self_, *args, **kwargs)
            if self_.is_batch:
                self_.taken_before = self._taken()
                self.passes("headers sent, body not")

        def get_response(self_: Any) -> Any:
            if self_.is_batch:
                self.passes("request sent, answer not awaited")
                if self.aims_at("ARM took it, answer not read"):
                    while self._taken() == self_.taken_before:
                        pass
                    self.strike()
            return response(self_)

        connection.putrequest, connection.endheaders, connection.getresponse = put_request, end_headers, get_response

    def _taken(self) -> int:
        """Ask the sandbox how many batches it has taken."""
        if self._point != "ARM took it, answer not read":
            return 0
        with urllib.request.urlopen(self._ledger_url) as answer:  # noqa: S310 - the sandbox's own
            return sum(batch["submits"] for batch in json.load(answer)["batches"].values())
