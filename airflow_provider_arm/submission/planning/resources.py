"""The resources that can be submitted in batches, with their operations."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_arm.client.errors import ArmConfigurationError


@dataclass(frozen=True, slots=True)
class Resource:
    """A type of record that ARM accepts in batches."""

    name: str
    #: Operation by action.
    actions: dict[str, str]
    #: Wire name of the natural key.
    key: str


RESOURCES = {
    "customers": Resource(
        "customers", {"create": "create_customer_batch", "update": "update_customer_batch"}, "customerNo"
    ),
    "documents": Resource("documents", {"create": "create_document_batch"}, "documentNo"),
}


def find_operation(resource: str, action: str) -> tuple[Resource, str]:
    """Return the resource and the name of its batch operation.

    :raises ArmConfigurationError: the resource or the action is unknown; the message lists the known ones.
    """
    found = RESOURCES.get(resource)
    if found is None:
        raise ArmConfigurationError(f"resource must be one of {', '.join(sorted(RESOURCES))}, not {resource!r}")
    if action not in found.actions:
        msg = f"action for {resource} must be one of {', '.join(sorted(found.actions))}, not {action!r}"
        raise ArmConfigurationError(msg)
    return found, found.actions[action]
