"""Metadata of this provider. Every Airflow process imports this module, so it imports nothing of the package."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Return the metadata (``provider_info.schema.json``).

    Airflow 3.3 builds the connection form from ``ui-field-behaviour`` and ``conn-fields`` alone.
    """
    return {
        "package-name": "airflow-provider-arm",
        "name": "ARM (accounts receivable)",
        "description": "Customers, batches and exports of Amili's ARM accounts-receivable API.",
        "integrations": [
            {"integration-name": "ARM", "external-doc-url": "https://docs.amili.dev/", "tags": ["service"]}
        ],
        "operators": [{"integration-name": "ARM", "python-modules": OPERATOR_MODULES}],
        "sensors": [{"integration-name": "ARM", "python-modules": ["airflow_provider_arm.sensors.batch"]}],
        "hooks": [{"integration-name": "ARM", "python-modules": ["airflow_provider_arm.hooks.arm"]}],
        "triggers": [{"integration-name": "ARM", "python-modules": TRIGGER_MODULES}],
        "extra-links": ["airflow_provider_arm.links.batch.BatchLink"],
        "notifications": ["airflow_provider_arm.notifications.rejects.RejectsNotifier"],
        "connection-types": [
            {
                "connection-type": "arm",
                "hook-class-name": "airflow_provider_arm.hooks.arm.ArmHook",
                "hook-name": "ARM (accounts receivable)",
                "ui-field-behaviour": FIELD_BEHAVIOUR,
                "conn-fields": EXTRA_FIELDS,
            }
        ],
    }


OPERATOR_MODULES = [
    "airflow_provider_arm.operators.ar_item",
    "airflow_provider_arm.operators.batch",
    "airflow_provider_arm.operators.customer",
    "airflow_provider_arm.operators.document",
    "airflow_provider_arm.operators.export",
    "airflow_provider_arm.operators.export_merge",
    "airflow_provider_arm.operators.file",
    "airflow_provider_arm.operators.payment",
    "airflow_provider_arm.operators.posting",
    "airflow_provider_arm.operators.reconcile",
    "airflow_provider_arm.operators.resolution",
]

TRIGGER_MODULES = [
    "airflow_provider_arm.triggers.ar_items",
    "airflow_provider_arm.triggers.batch",
    "airflow_provider_arm.triggers.batch_finished",
]

FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema"],
    "relabeling": {"host": "Base URL", "login": "Client ID", "password": "Client secret"},
    "placeholders": {"host": "https://api.staging.amili.no/arm/v1"},
}

#: Fields that are stored in the connection's extra under these names. Airflow masks a field whose name contains
#: "token", "secret", "key" or "password", so only secrets have such a name.
EXTRA_FIELDS: dict[str, dict[str, Any]] = {
    "client_no": {
        "label": "Client number",
        "description": "Number of the ARM client, such as 2218. The client_no of an operator overrides it.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "auth_url": {
        "label": "Token URL",
        "description": "Full address, such as https://auth.staging.amili.no/token. Not needed for Amili's hosts.",
        "schema": {"type": ["string", "null"], "format": "url"},
    },
    "user_id": {
        "label": "User",
        "description": "User that ARM records for changes.",
        "schema": {"type": ["string", "null"]},
    },
    "scope": {
        "label": "Scope",
        "description": "Sent with the token request. Set it only if Amili has given you one.",
        "schema": {"type": ["string", "null"]},
    },
    "access_token": {
        "label": "Access token",
        "description": "Access token instead of client ID and secret. It is not renewed.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "timeout": {
        "label": "Timeout (s)",
        "description": "Seconds without data from ARM after which a call fails. Default 30.",
        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
    },
    "ca_bundle": {
        "label": "CA bundle",
        "description": "Path of a PEM file on every worker and triggerer, trusted instead of the default certificates.",
        "schema": {"type": ["string", "null"]},
    },
    "readings": {
        "label": "Readings profile",
        "description": "JSON, or the address of a JSON or YAML file: what differs from the default readings of ARM.",
        "schema": {"type": ["string", "null"]},
    },
}
