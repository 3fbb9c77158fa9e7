"""How both clients put requests on the wire: time limits, certificates, proxies. Nothing here turns a check off."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_arm.client.errors import ArmConfigurationError

#: Seconds without a byte from ARM after which a call counts as lost.
DEFAULT_TIMEOUT = 30.0
#: Seconds in which a connection must stand: a host that is there answers in milliseconds.
CONNECT_TIMEOUT = 10.0
#: Variables that name a certificate file for the whole machine, as requests and curl read them.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Transport:
    """Settings of the wire."""

    timeout: float = DEFAULT_TIMEOUT
    ca_bundle: str | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.timeout > 0:
            msg = f"timeout must be more than 0 seconds, not {self.timeout}"
            raise ArmConfigurationError(msg)
        if self.ca_bundle and not Path(self.ca_bundle).is_file():
            msg = "ca_bundle names a file that is not there: give the path of a PEM file on every worker"
            raise ArmConfigurationError(msg)

    @property
    def connect_timeout(self) -> float:
        """Seconds in which a connection must stand."""
        return min(self.timeout, CONNECT_TIMEOUT)

    def ca_file(self) -> str:
        """The certificates to trust: the connection's, else the machine's variable, else certifi's."""
        if self.ca_bundle:
            return self.ca_bundle
        for name in _CA_VARIABLES:
            if os.environ.get(name):
                return os.environ[name]
        import certifi

        return certifi.where()


def proxies_for(url: str) -> dict[str, str]:
    """Find the machine's proxies for *url* (``HTTPS_PROXY``, ``NO_PROXY``).

    Given explicitly because the sessions read nothing else of the environment: a ``.netrc`` would replace the token.
    """
    from requests.utils import get_environ_proxies

    return dict(get_environ_proxies(url, no_proxy=None))
