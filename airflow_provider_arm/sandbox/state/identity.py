"""Token service. A token is signed and contains its expiry time, so that it stays valid after a restart."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qsl

from airflow_provider_arm.client import money
from airflow_provider_arm.sandbox.messages import SandboxRequest, SandboxResponse, json_response

#: The sandbox's only credentials. Not a secret: they give access to nothing but a sandbox on the same machine.
CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 - documented, see above

#: ``resource`` of the documented token response.
RESOURCE = "04468334-ec11-4ef8-9e7c-e124bacbd5c1"

#: Verified tokens are cached, up to this many; no real client uses more.
_MAX_CACHED_TOKENS = 10_000


class TokenService:
    """Service that issues, verifies and revokes tokens. The key that signs them depends on *seed*."""

    def __init__(self, seed: int) -> None:
        self._key = hashlib.sha256(f"arm-sandbox token key {seed}".encode()).digest()
        #: Verified token -> its expiry time in Unix seconds.
        self._verified: dict[str, int] = {}
        self._revoked: set[str] = set()

    def issue(self, request: SandboxRequest, now: dt.datetime, life: int) -> SandboxResponse:
        """Return the response to ``POST /identity/token``; a token expires after *life* seconds."""
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        if not request.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
            return _oauth_error(400, "invalid_request", "The body must be application/x-www-form-urlencoded")
        if form.get("grant_type") != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type", "grant_type must be client_credentials")
        secret = form.get("client_secret", "")
        if form.get("client_id") != CLIENT_ID or not hmac.compare_digest(secret.encode(), CLIENT_SECRET.encode()):
            return _oauth_error(401, "invalid_client", "Unknown client_id or wrong client_secret")
        start = int(now.timestamp())
        claims = {"aud": RESOURCE, "sub": CLIENT_ID, "nbf": start, "exp": start + life, "jti": request.number}
        body = {
            "access_token": self._sign(claims),
            "token_type": "Bearer",
            "not_before": start,
            "expires_in": life,
            "expires_on": start + life,
            "resource": RESOURCE,
        }
        return json_response(200, body, **{"cache-control": "no-store"})

    def token_status(self, header: str | None, now: dt.datetime) -> str:
        """Return the status of a token: ``ok``, ``missing``, ``expired``, ``refused`` (revoked) or ``bad``."""
        if not header:
            return "missing"
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer":
            return "bad"
        if token in self._revoked:
            return "refused"
        expires = self._verified.get(token)
        if expires is None:
            expires = self._verify(token)
            if expires is None:
                return "bad"
            if len(self._verified) >= _MAX_CACHED_TOKENS:
                self._verified.clear()
            self._verified[token] = expires
        return "ok" if now.timestamp() < expires else "expired"

    def revoke(self, header: str | None) -> None:
        """Revoke the token in *header* from now on, as when ARM revokes a token before it expires."""
        if header:
            self._revoked.add(header.partition(" ")[2].strip())

    def _sign(self, claims: dict[str, object]) -> str:
        head = _b64(b'{"typ":"JWT","alg":"RS256"}') + "." + _b64(money.encode(claims))
        return head + "." + _b64(self._signature(head))

    def _signature(self, head: str) -> bytes:
        # As long as a real RS256 signature (256 bytes), but computed with HMAC.
        return b"".join(hmac.digest(self._key, f"{part}{head}".encode(), "sha256") for part in range(8))

    def _verify(self, token: str) -> int | None:
        """Return the expiry time of a token in Unix seconds, or ``None`` if its signature is not valid."""
        head, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), _b64(self._signature(head)).encode()):
            return None
        return int(money.decode(_unb64(head.partition(".")[2]))["exp"])


def airflow_connection(client_no: int, base_url: str, auth_url: str) -> dict[str, Any]:
    """Return the Airflow connection, in the form of ``AIRFLOW_CONN_ARM_DEFAULT`` as JSON."""
    extra = {"client_no": client_no, "auth_url": auth_url, "user_id": "sandbox"}
    return {"conn_type": "arm", "host": base_url, "login": CLIENT_ID, "password": CLIENT_SECRET, "extra": extra}


def _oauth_error(status: int, code: str, description: str) -> SandboxResponse:
    return json_response(status, {"error": code, "error_description": description})


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
