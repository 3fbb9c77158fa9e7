"""Named points at which a process is killed or suspended, and the patches that detect them in a running process."""

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

#: Points of every task, in the order in which it passes them.
COMMON_POINTS = (
    "before the journal opens",
    "after the journal opened",
    "before the plan entry",
    "plan entry half written",
    "after the plan entry",
    "before the SENDING entry",
    "SENDING entry half written",
    "after the SENDING entry",
    "headers sent, body not",
    "request sent, response not awaited",
    "ARM accepted it, response not read",
    "response read, not journalled",
    "ACCEPTED entry half written",
    "after the ACCEPTED entry",
    "before the XCom",
    "after the XCom",
    "before the journal is released",
    "while waiting",
    "in the rejects file",
    "before the return",
)
DEFERRED_POINTS = ("before deferring", "in the trigger")
#: Points of a try that finds a chunk of documents with an unknown outcome: it writes that, looks it up, writes the
#: result.
LOOKUP_POINTS = (
    "before the UNKNOWN entry",
    "UNKNOWN entry half written",
    "after the UNKNOWN entry",
    "before the lookup",
    "in the lookup",
    "lookup done, not journalled",
    "RECOVERED entry half written",
    "after the RECOVERED entry",
)
POINTS = COMMON_POINTS + DEFERRED_POINTS + LOOKUP_POINTS
#: Points that are passed once per chunk.
PER_CHUNK_POINTS = frozenset(point for point in POINTS[5:14])
#: Where a try must be killed so that the next one runs a lookup.
LOSES_RESPONSE = "ARM accepted it, response not read"

#: Names of entries in the points, by state.
_ENTRIES = {
    "plan": "plan entry",
    "sending": "SENDING entry",
    "accepted": "ACCEPTED entry",
    "unknown": "UNKNOWN entry",
    "recovered": "RECOVERED entry",
}


class Killer:
    """Kills its own process when a point is passed for the *nth* time.

    :param effect_log_url: of the sandbox.
    :param signal_name: ``SIGKILL``, or ``SIGSTOP`` to suspend the process.
    """

    def __init__(self, point: str | None, nth: int, effect_log_url: str, signal_name: str = "SIGKILL") -> None:
        self._point, self._nth, self._effect_log_url = point, nth, effect_log_url
        self._signal = signal.Signals[signal_name]
        self._writing: str | None = None

    def is_due(self, point: str) -> bool:
        """Count a pass of *point*; return whether the process is to be killed now."""
        if point != self._point:
            return False
        self._nth -= 1
        return self._nth == 0

    def pass_point(self, point: str) -> None:
        """Kill or suspend the process if it is due at *point*."""
        if self.is_due(point):
            self.send_signal()

    def send_signal(self) -> None:
        """Send the signal to the own process."""
        os.kill(os.getpid(), self._signal)

    def install(self) -> None:
        """Wrap functions of the package and of the standard library's HTTP client with the points."""
        self._install_journal()
        self._install_rejects()
        self._install_client()
        self._install_socket()

    def _wrap(self, owner: Any, name: str, before: str | None, after: str | None = None) -> None:
        wrapped = getattr(owner, name)

        @functools.wraps(wrapped)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if before:
                self.pass_point(before)
            result = wrapped(*args, **kwargs)
            if after:
                self.pass_point(after)
            return result

        setattr(owner, name, wrapper)

    def _install_journal(self) -> None:
        from airflow_provider_arm.submission.journal.checksummed_folder import ChecksummedFolder
        from airflow_provider_arm.submission.journal.file_journal import FileJournal

        self._wrap(FileJournal, "__init__", "before the journal opens", "after the journal opened")
        self._wrap(FileJournal, "release", "before the journal is released")
        write, fsync = ChecksummedFolder.write, os.fsync

        def write_entry(folder: Any, name: str, content: dict[str, Any]) -> None:
            entry = _ENTRIES.get("plan" if name.startswith("plan") else content.get("state", ""))
            self.pass_point(f"before the {entry}")
            self._writing = entry
            write(folder, name, content)
            self._writing = None
            self.pass_point(f"after the {entry}")

        def truncate_and_sync(descriptor: int) -> None:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and self.is_due(f"{self._writing} half written"):
                if self._signal == signal.SIGKILL:
                    os.ftruncate(descriptor, status.st_size // 2)
                self.send_signal()
            fsync(descriptor)

        ChecksummedFolder.write, os.fsync = write_entry, truncate_and_sync

    def _install_rejects(self) -> None:
        import airflow_provider_arm.runtime.rejects

        rejects: Any = airflow_provider_arm.runtime.rejects
        lines = rejects.reject_lines

        def yield_lines(*args: Any) -> Iterator[bytes]:
            for line in lines(*args):
                yield line
                self.pass_point("in the rejects file")

        rejects.reject_lines = yield_lines

    def _install_client(self) -> None:
        from airflow_provider_arm.client import ArmClient, AsyncArmClient
        from airflow_provider_arm.runtime import submission

        self._wrap(ArmClient, "submit_encoded", None, "response read, not journalled")
        self._wrap(ArmClient, "get_batch", "while waiting")
        self._wrap(submission, "look_up", "before the lookup", "lookup done, not journalled")
        self._wrap(ArmClient, "get_document", "in the lookup")
        self._wrap(AsyncArmClient, "get_batch", "in the trigger")

    def _install_socket(self) -> None:
        connection = http.client.HTTPConnection
        headers, response, request = connection.endheaders, connection.getresponse, connection.putrequest

        def put_request(self_: Any, method: str, url: str, *args: Any, **kwargs: Any) -> None:
            self_.is_batch = method == "POST" and url.endswith("/batches")
            request(self_, method, url, *args, **kwargs)

        def end_headers(self_: Any, *args: Any, **kwargs: Any) -> None:
            headers(self_, *args, **kwargs)
            if self_.is_batch:
                self_.accepted_before = self._count_accepted()
                self.pass_point("headers sent, body not")

        def get_response(self_: Any) -> Any:
            if self_.is_batch:
                self.pass_point("request sent, response not awaited")
                if self.is_due("ARM accepted it, response not read"):
                    while self._count_accepted() == self_.accepted_before:
                        pass
                    self.send_signal()
            return response(self_)

        connection.putrequest, connection.endheaders, connection.getresponse = put_request, end_headers, get_response

    def _count_accepted(self) -> int:
        """Return how many batches the sandbox has accepted."""
        if self._point != "ARM accepted it, response not read":
            return 0
        with urllib.request.urlopen(self._effect_log_url) as response:  # noqa: S310 - the sandbox's own
            return sum(batch["submits"] for batch in json.load(response)["batches"].values())
