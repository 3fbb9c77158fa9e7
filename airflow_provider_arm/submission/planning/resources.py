"""What can be submitted as a batch, and by which operation."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_arm.client.errors import ArmConfigurationError


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of record that ARM takes in batches."""

    name: str
    #: Operation by action.
    actions: dict[str, str]
    #: The wire name of the natural key, by which a record is found again.
    key: str


RESOURCES = {
    resource.name: resource
    for resource in (
        Resource("customers", {"create": "create_customer_batch", "update": "update_customer_batch"}, "customerNo"),
        Resource("documents", {"create": "create_document_batch"}, "documentNo"),
    )
}


def find_operation(resource: str, action: str) -> tuple[Resource, str]:
    """Find the resource and the name of its batch operation.

    :raises ArmConfigurationError: there is none; the message lists what there is.
    """
    found = RESOURCES.get(resource)
    if found is None:
        msg = f"resource must be one of {', '.join(sorted(RESOURCES))}, not {resource!r}"
        raise ArmConfigurationError(msg)
    if action not in found.actions:
        msg = f"action for {resource} must be one of {', '.join(sorted(found.actions))}, not {action!r}"
        raise ArmConfigurationError(msg)
    return found, found.actions[action]
