"""Arguments that name exports: the result of an export operator, the address of a manifest, or a list of either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export.manifest.paths import MANIFEST_SUFFIX


def resolve_lazy_xcom(value: Any) -> Any:
    """Return the results of a mapped task as a plain list, and any other value unchanged.

    Airflow requests each result when it is accessed. With a plain list no later code needs to, such as a process that
    OpenLineage has forked and that cannot reach Airflow's API.
    """
    from airflow.sdk.execution_time.lazy_sequence import LazyXComSequence

    if isinstance(value, LazyXComSequence):
        return list(value[:])  # one call; reading them one by one ends with an error in the log
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def manifest_addresses(exports: Any) -> list[str]:
    """Return the addresses of the manifests, and omit values that name none.

    :param exports: one value or several, as :func:`resolve_lazy_xcom` returns them.
    """
    return [address for address in _addresses(exports) if _is_manifest(address)]


def manifest_paths(exports: Any, argument: str) -> list[Any]:
    """Return the paths of the manifests.

    :param exports: one value or several, as :func:`resolve_lazy_xcom` returns them.
    :param argument: the name of the argument, for the message.
    :raises ArmConfigurationError: there is no value, or one of them names no manifest.
    """
    return [open_path(address) for address in _check_addresses(exports, argument)]


def read_exports(name: str, value: Any) -> Any:
    """Return an argument that names exports, after its check. Results of a mapped task are checked when they are read.

    :raises ArmConfigurationError: it is none, or one of several names no manifest.
    """
    if value is None or isinstance(value, str | int | float | Mapping | list | tuple):
        _check_addresses(list(value) if isinstance(value, tuple) else value, name)
    return value


def _check_addresses(exports: Any, argument: str) -> list[Any]:
    addresses = _addresses(exports)
    if not addresses or not all(map(_is_manifest, addresses)):
        raise ArmConfigurationError(
            f"{argument} must be the result of an export operator, an address that ends in {MANIFEST_SUFFIX}, or a "
            "list of them"
        )
    return addresses


def open_path(address: str) -> Any:
    """Return an address as a path that Airflow's connections open."""
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return ObjectStoragePath(address)


def _is_manifest(address: Any) -> bool:
    return isinstance(address, str) and address.endswith(MANIFEST_SUFFIX)


def _addresses(exports: Any) -> list[Any]:
    values = exports if isinstance(exports, list) else [exports]
    return [value.get("manifest_uri") if isinstance(value, Mapping) else value for value in values]
