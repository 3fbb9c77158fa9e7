"""Base class of the ARM operators: connection arguments, the hook, and arguments that Airflow must not store."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.runtime.arguments import add_inherited_params
from airflow_provider_arm.runtime.rendered import read_optional

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import jinja2
    from airflow.providers.common.compat.sdk import Context


class RedactedArgument:
    """Rendered argument with personal data. Airflow stores and shows only the number of its records."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def serialize(self) -> str:
        """Return what Airflow stores and shows."""
        count = len(self.value) if isinstance(self.value, list | tuple) else 1
        return f"<{count} record{'' if count == 1 else 's'}, not shown>"

    __str__ = __repr__ = serialize


def unwrap(value: Any) -> Any:
    """Return the value of an argument that may be a :class:`RedactedArgument`."""
    return value.value if isinstance(value, RedactedArgument) else value


def read_bool(name: str, value: Any) -> bool:
    """Return an argument as a bool; a rendered template is text.

    :raises ArmConfigurationError: it is neither a bool nor ``"true"`` or ``"false"`` in any case.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    raise ArmConfigurationError(f"{name} must be True or False, not {value!r}")


def to_seconds(value: timedelta | float | None) -> float | None:
    """Return a duration in seconds; ``None`` is returned unchanged."""
    return value.total_seconds() if isinstance(value, timedelta) else value


class ArmBaseOperator(BaseOperator):
    """Base class of the ARM operators.

    :param arm_conn_id: connection of type ``arm``. Default ``arm_default``. Templated.
    :param client_no: number of the ARM client. Default: the connection's. Templated.
    :param user_id: user that ARM records for changes. Default: the connection's. Templated.
    """

    template_fields: Sequence[str] = ("arm_conn_id", "client_no", "user_id")
    #: Templated arguments with personal data: rendered, but never stored or shown.
    personal_fields: ClassVar[Sequence[str]] = ()
    ui_color = "#dcebf7"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Add inherited arguments to the docstring of each operator."""
        super().__init_subclass__(**kwargs)
        add_inherited_params(cls)

    def __init__(
        self,
        *,
        arm_conn_id: str = ArmHook.default_conn_name,
        client_no: int | str | None = None,
        user_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arm_conn_id = arm_conn_id
        self.client_no = client_no
        self.user_id = user_id

    @cached_property
    def hook(self) -> ArmHook:
        """Hook for this task's connection and client."""
        return ArmHook(self.arm_conn_id, client_no=self.client_no, user_id=read_optional(self.user_id))

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render as usual, then wrap the arguments with personal data, because Airflow stores rendered fields next.

        Plain and mapped tasks both call this method.
        """
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
        for name in self.personal_fields:
            value = getattr(parent, name, None)
            if value is not None and not isinstance(value, RedactedArgument):
                setattr(parent, name, RedactedArgument(value))
