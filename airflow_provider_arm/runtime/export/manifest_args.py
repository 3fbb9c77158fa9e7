"""The arguments that name exports: what an export operator returned, its manifest's address, or a list of either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export.manifest.paths import MANIFEST_SUFFIX


def resolve_lazy_xcom(given: Any) -> Any:
    """Give what a mapped task returned as a plain list; anything else as it is.

    Airflow fetches each result when it is asked for. Afterwards nobody has to who may not, such as a process that
    OpenLineage has forked.
    """
    from airflow.sdk.execution_time.lazy_sequence import LazyXComSequence

    if isinstance(given, LazyXComSequence):
        return list(given[:])  # one call; one for each would end with an error in the log
    return list(given) if isinstance(given, Sequence) and not isinstance(given, str) else given


def manifest_addresses(given: Any) -> list[str]:
    """Give the addresses of the manifests; what names none is left out.

    :param given: one or several, :func:`resolve_lazy_xcom`.
    """
    return [address for address in _addresses(given) if isinstance(address, str) and address.endswith(MANIFEST_SUFFIX)]


def manifest_paths(given: Any, name: str) -> list[Any]:
    """Give the manifests as paths.

    :param given: one or several, :func:`resolve_lazy_xcom`.
    :param name: the argument's, for the message.
    :raises ArmConfigurationError: there is none, or something among them names none.
    """
    found = manifest_addresses(given)
    if not found or len(found) < len(_addresses(given)):
        msg = f"{name} must be what an export operator returned, an address that ends in {MANIFEST_SUFFIX}, or a list of them"
        raise ArmConfigurationError(msg)
    return [open_path(address) for address in found]


def open_path(address: str) -> Any:
    """Give an address as a path that Airflow's connections open."""
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return ObjectStoragePath(address)


def _addresses(given: Any) -> list[Any]:
    several = given if isinstance(given, list) else [given]
    return [one.get("manifest_uri") if isinstance(one, Mapping) else one for one in several]
