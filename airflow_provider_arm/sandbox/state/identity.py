"""The token service. Tokens are signed and say themselves how long they live, so that a restart forgets none."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from urllib.parse import parse_qsl

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.messages import SandboxRequest, SandboxResponse, json_response

#: The sandbox's one account. Not a secret: it opens nothing but a sandbox on the same machine.
CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 - documented, see above

#: The resource that the documented token answer names.
RESOURCE = "04468334-ec11-4ef8-9e7c-e124bacbd5c1"

#: Tokens that were accepted once are not checked again; more than this many different ones is no real client.
_MAX_KNOWN = 10_000


class TokenService:
    """Issues tokens and tells good ones from bad ones."""

    def __init__(self, seed: int) -> None:
        self._key = hashlib.sha256(f"arm-sandbox token key {seed}".encode()).digest()
        self._known: dict[str, int] = {}
        self._refused: set[str] = set()

    def issue(self, call: SandboxRequest, now: dt.datetime, life: int) -> SandboxResponse:
        """Answer ``POST /identity/token``."""
        form = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        if not call.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
            return _oauth_error(400, "invalid_request", "The body must be application/x-www-form-urlencoded")
        if form.get("grant_type") != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type", "grant_type must be client_credentials")
        secret = form.get("client_secret", "")
        if form.get("client_id") != CLIENT_ID or not hmac.compare_digest(secret.encode(), CLIENT_SECRET.encode()):
            return _oauth_error(401, "invalid_client", "Unknown client_id or wrong client_secret")
        start = int(now.timestamp())
        claims = {"aud": RESOURCE, "sub": CLIENT_ID, "nbf": start, "exp": start + life, "jti": call.number}
        body = {
            "access_token": self._sign(claims),
            "token_type": "Bearer",
            "not_before": start,
            "expires_in": life,
            "expires_on": start + life,
            "resource": RESOURCE,
        }
        return json_response(200, body, **{"cache-control": "no-store"})

    def verdict(self, header: str | None, now: dt.datetime) -> str:
        """What the ``Authorization`` header is worth: ``ok``, ``missing``, ``expired``, ``refused`` or ``bad``."""
        if not header:
            return "missing"
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer":
            return "bad"
        if token in self._refused:
            return "refused"
        expires = self._known.get(token)
        if expires is None:
            expires = self._expiry(token)
            if expires is None:
                return "bad"
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[token] = expires
        return "ok" if now.timestamp() < expires else "expired"

    def refuse(self, header: str | None) -> None:
        """From now on the token in *header* is refused, as when ARM withdraws it in the middle of a run."""
        if header:
            self._refused.add(header.partition(" ")[2].strip())

    def _sign(self, claims: dict[str, object]) -> str:
        head = _b64(b'{"typ":"JWT","alg":"RS256"}') + "." + _b64(money.encode(claims))
        return head + "." + _b64(self._signature(head))

    def _signature(self, head: str) -> bytes:
        # A real RS256 signature is 256 bytes; the length is kept, the mathematics is not.
        return b"".join(hmac.digest(self._key, f"{part}{head}".encode(), "sha256") for part in range(8))

    def _expiry(self, token: str) -> int | None:
        head, _, signature = token.rpartition(".")
        try:
            if not hmac.compare_digest(signature.encode(), _b64(self._signature(head)).encode()):
                return None
            return int(money.decode(_unb64(head.partition(".")[2]))["exp"])
        except (ValueError, KeyError, TypeError):  # pragma: no cover - only a token that we signed gets here
            return None


def _oauth_error(status: int, code: str, description: str) -> SandboxResponse:
    return json_response(status, {"error": code, "error_description": description})


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
