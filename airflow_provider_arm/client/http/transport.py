"""Transport settings of both clients: timeouts, certificates, proxies. No setting turns certificate checks off."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_arm.client.errors import ArmConfigurationError, Phase

if TYPE_CHECKING:
    import ssl

#: Seconds without a byte from ARM after which an attempt has failed.
DEFAULT_TIMEOUT = 30.0
#: Seconds within which a connection must be established: a reachable host does it in milliseconds.
CONNECT_TIMEOUT = 10.0
#: Environment variables that name a certificate file for the whole machine, as for requests and curl.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

_PROXY_SCHEMES = frozenset({"http", "https", "all"})


@dataclass(frozen=True, slots=True)
class Transport:
    """Timeout and certificates of a client's connections.

    :param timeout: seconds without a byte from ARM after which an attempt fails; default 30.
    :param ca_bundle: path of a PEM file with the certificates to trust; default see :meth:`ca_file`.
    :raises ArmConfigurationError: *timeout* is not positive, or *ca_bundle* is not a file.
    """

    timeout: float = DEFAULT_TIMEOUT
    ca_bundle: str | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.timeout > 0:
            raise ArmConfigurationError(f"timeout must be greater than 0 seconds, not {self.timeout}")
        if self.ca_bundle and not Path(self.ca_bundle).is_file():
            msg = "ca_bundle is not the path of a file: set it to a PEM file that exists on every worker"
            raise ArmConfigurationError(msg)

    @property
    def connect_timeout(self) -> float:
        """Seconds within which a connection must be established."""
        return min(self.timeout, CONNECT_TIMEOUT)

    def ca_file(self) -> str:
        """Return the certificates to trust: the connection's, else the environment variable's, else certifi's."""
        return self._ca_source()[1]

    def _ca_source(self) -> tuple[str, str]:
        if self.ca_bundle:
            return "ca_bundle of the connection", self.ca_bundle
        for name in _CA_VARIABLES:
            if os.environ.get(name):
                return name, os.environ[name]
        import certifi

        return "certifi", certifi.where()

    def create_ssl_context(self) -> ssl.SSLContext:
        """Return a TLS context that trusts :meth:`ca_file`. Reading it takes as long as twenty calls.

        :raises ArmConfigurationError: the file has no certificates that can be read.
        """
        import ssl

        name, path = self._ca_source()
        try:
            if Path(path).is_dir():
                return ssl.create_default_context(capath=path)
            return ssl.create_default_context(cafile=path)
        except OSError as error:  # also ssl.SSLError
            reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
        raise ArmConfigurationError(f"{name} is not a PEM file with certificates ({reason})", phase=Phase.NOT_SENT)

    def check_ca_file(self) -> None:
        """Check the certificates to trust. Raises as :meth:`create_ssl_context`."""
        if self._ca_source()[0] != "certifi":
            self.create_ssl_context()


def proxies_for(url: str) -> dict[str, str]:
    """Return the proxies for *url* from the environment (``HTTPS_PROXY``, ``NO_PROXY``).

    They are passed explicitly because the sessions read nothing else from the environment: a ``.netrc`` would replace
    the token.

    :raises ArmConfigurationError: one of them is not the URL of a proxy.
    """
    from requests.utils import get_environ_proxies

    found = get_environ_proxies(url, no_proxy=None).items()
    return {scheme: _check_proxy(scheme, proxy) for scheme, proxy in found if scheme in _PROXY_SCHEMES}


def _check_proxy(scheme: str, proxy: str) -> str:
    """Return the URL of a proxy, with http as its scheme if it has none. Its message has no value: it may be secret."""
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme.startswith(("http", "socks")) and parts.hostname and parts.port != 0
    except ValueError:
        is_valid = False
    if is_valid:
        return url
    msg = f"{scheme.upper()}_PROXY in the environment is not the URL of a proxy, such as http://proxy.example.com:3128"
    raise ArmConfigurationError(msg, phase=Phase.NOT_SENT)
