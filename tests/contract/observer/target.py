"""The ARM that is observed: its address, its credentials, and what may be written to it."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_arm.sandbox import ArmSandbox

NEEDED = (
    "ARM_REAL_BASE_URL",
    "ARM_REAL_AUTH_URL",
    "ARM_REAL_CLIENT_ID",
    "ARM_REAL_CLIENT_SECRET",
    "ARM_REAL_CLIENT_NO",
)
#: Base URL of production; the host is documented, the path is assumed. Invoices are never posted there.
PRODUCTION_URL = "https://api.amili.no/arm/v1"
#: Values of ``ARM_REAL_WRITE``: write nothing, customers, customers and documents.
WRITES = ("", "yes", "documents")
#: Long enough that no existing number begins with it by chance, short enough for eight more digits.
PREFIX = re.compile(r"[A-Za-z0-9-]{3,8}")


class VariablesError(Exception):
    """Error: variables or options are missing or wrong; one line for each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Target:
    """An ARM client number with its credentials, and what may be written to it."""

    base_url: str
    auth_url: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    client_no: int
    user_id: str | None = None
    scope: str | None = None
    write: str = ""
    prefix: str = ""


def read_target(environ: Mapping[str, str]) -> Target:
    """Read the ``ARM_REAL_*`` variables.

    :raises VariablesError: names all variables that are missing or wrong.
    """
    given = {name: value.strip() for name, value in environ.items() if name.startswith("ARM_REAL_")}
    wrong = [f"{name} is missing" for name in NEEDED if not given.get(name)]
    number, write = given.get(NEEDED[-1], ""), given.get("ARM_REAL_WRITE", "")
    prefix = given.get("ARM_REAL_TEST_PREFIX", "")
    if number and not (number.isascii() and number.isdigit()):
        wrong.append("ARM_REAL_CLIENT_NO must be a whole number")
    if write not in WRITES:
        wrong.append("ARM_REAL_WRITE must be yes, documents, or not set")
    elif write and not PREFIX.fullmatch(prefix):
        form = "3 to 8 letters, digits or hyphens with which no existing number begins"
        wrong.append(f"ARM_REAL_TEST_PREFIX must be set for writes: {form}")
    production = urlsplit(PRODUCTION_URL).hostname
    if write == "documents" and urlsplit(given.get("ARM_REAL_BASE_URL", "")).hostname == production:
        wrong.append(f"ARM_REAL_WRITE=documents is refused for {production}: a document cannot be deleted there")
    if wrong:
        raise VariablesError(wrong)
    base_url, auth_url, client_id, client_secret = (given[name] for name in NEEDED[:4])
    return Target(
        base_url,
        auth_url,
        client_id,
        client_secret,
        int(number),
        user_id=given.get("ARM_REAL_USER_ID") or None,
        scope=given.get("ARM_REAL_SCOPE") or None,
        write=write,
        prefix=prefix,
    )


def target_of(box: ArmSandbox, scope: str | None = None) -> Target:
    """Return a sandbox as a target to which everything may be written.

    :param scope: of its token call.
    """
    return Target(
        box.base_url,
        box.auth_url,
        box.client_id,
        box.client_secret,
        box.client_no,
        user_id="verify",
        scope=scope,
        write="documents",
        prefix="VERIFY",
    )


class Numbers:
    """Customer and document numbers under the prefix, new in every run."""

    def __init__(self, prefix: str) -> None:
        self._stem = f"{prefix}{secrets.randbelow(1_000_000):06d}"
        self._count = 0

    def new(self) -> str:
        """Return an unused number."""
        self._count += 1
        return f"{self._stem}{self._count:02d}"
