"""Rendered arguments: what a template has made of a missing result or of another value is no key. Light to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Texts that Jinja and pandas make of a missing value, in lower case.
_MISSING = frozenset({"none", "null", "nan", "undefined"})
#: First and last characters of the text of a list, mapping or tuple.
_CONTAINERS = frozenset({"[]", "{}", "()"})
#: Fields of a record that identify it, by wire name and Python name.
_KEY_FIELDS = frozenset(
    {"customerNo", "customer_no", "documentNo", "document_no", "arItemId", "ar_item_id", "paymentId", "payment_id"}
)
_NO_RESULT = (
    "the task that it comes from has pushed no such result. Leave its do_xcom_push at True, and check task id and key "
    "in {{ ti.xcom_pull(task_ids=..., key=...) }}; if that task was skipped, skip this one, too (trigger_rule)"
)


def read_key(name: str, value: Any) -> str:
    """Return a natural key as text. A whole number, as native rendering makes it of digits, is its text.

    :param name: of the argument, for messages.
    :raises ArmConfigurationError: it is missing, or is what a template has made of another value.
    """
    if value is None:
        raise ArmConfigurationError(f"{name} is None: {_NO_RESULT}")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ArmConfigurationError(
            f"{name} must be text, not a value of type {type(value).__name__}: pull a single value, such as {{{{ "
            "ti.xcom_pull(task_ids='...')['...'] }}; with render_template_as_native_obj, text that looks like a number "
            "becomes one: pass the other task's output itself instead of a template"
        )
    check_rendered(name, value)
    return value


def read_optional(value: Any) -> str | None:
    """Return an optional argument as text; ``None`` also for ``""`` and ``"None"``, which templates make of it."""
    text = "" if value is None else str(value).strip()
    return None if text in {"", "None"} else text


def check_rendered(name: str, text: str) -> None:
    """Check that text is not what a template has made of a missing or another value.

    :raises ArmConfigurationError: it is; the message has what Jinja made, and what to write.
    """
    stripped = text.strip()
    if not stripped:
        raise ArmConfigurationError(f"{name} is empty: {_NO_RESULT}")
    if stripped.lower() in _MISSING:
        raise ArmConfigurationError(
            f'{name} is the text "{stripped}", which a template makes of a missing value: {_NO_RESULT}'
        )
    if "{{" in stripped or "{%" in stripped:
        raise ArmConfigurationError(
            f"{name} is a template that was not rendered: only templated arguments are, and only once; pass the other "
            "task's output itself (task.output)"
        )
    if stripped[0] + stripped[-1] in _CONTAINERS or stripped[0] in "\"'":
        raise ArmConfigurationError(
            f"{name} is the text of a list or another object, but not JSON, because a template renders text: pass the "
            f"other task's output itself ({name}=task.output), or set render_template_as_native_obj=True on the DAG"
        )


def check_rendered_keys(name: str, record: Mapping[str, Any]) -> None:
    """Check the natural keys in a record. Raises as :func:`check_rendered`.

    :param name: of the argument with the record, for messages.
    """
    for field in sorted(_KEY_FIELDS & record.keys()):
        if isinstance(record[field], str):
            check_rendered(f"{field} in {name}", record[field])
