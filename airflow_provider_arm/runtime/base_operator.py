"""What all ARM operators share: connection arguments, the hook, and people kept out of Airflow's database."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.runtime.arguments import add_inherited_params

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import jinja2
    from airflow.providers.common.compat.sdk import Context


#: Why a templated argument that should be an object is text, and the way out.
NOT_JSON = "is text but not JSON: pass the other task's output itself, or set render_template_as_native_obj on the DAG"


class RedactedArgument:
    """Holds a rendered argument that is made of people's data; Airflow stores and shows only how much it is."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def serialize(self) -> str:
        """Give what Airflow stores and shows."""
        count = len(self.value) if isinstance(self.value, list | tuple) else 1
        return f"<{count} record{'' if count == 1 else 's'}, not shown>"

    def __str__(self) -> str:
        return self.serialize()

    __repr__ = __str__


def revealed(value: Any) -> Any:
    """Give the value of an argument, whether it was wrapped or not."""
    return value.value if isinstance(value, RedactedArgument) else value


def read_bool(name: str, value: Any) -> bool:
    """Return an argument as a bool; a rendered template gives it as text.

    :raises ArmConfigurationError: it is neither a bool nor ``"true"`` or ``"false"`` in any case.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    msg = f"{name} must be True or False, not {value!r}"
    raise ArmConfigurationError(msg)


def as_seconds(value: timedelta | float | None) -> float | None:
    """Give a duration in seconds; ``None`` stays."""
    return value.total_seconds() if isinstance(value, timedelta) else value


class ArmBaseOperator(BaseOperator):
    """Base of the ARM operators.

    :param arm_conn_id: connection of type ``arm``; default ``arm_default``. Templated.
    :param client_no: the ARM client whose ledger is meant; default the connection's. Templated.
    :param user_id: the user that ARM notes for changes; default the connection's. Templated.
    """

    template_fields: Sequence[str] = ("arm_conn_id", "client_no", "user_id")
    #: Templated arguments that hold people's data: rendered, but never stored or shown.
    personal_fields: ClassVar[Sequence[str]] = ()
    ui_color = "#dcebf7"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Show inherited arguments in the docstring of each operator."""
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
        """The hook for this task's connection and client."""
        return ArmHook(self.arm_conn_id, client_no=self.client_no, user_id=self.user_id)

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render as usual, then wrap what is personal: Airflow stores rendered fields right after this.

        It is the one place that both plain and mapped tasks pass.
        """
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
        for name in self.personal_fields:
            value = getattr(parent, name, None)
            if value is not None and not isinstance(value, RedactedArgument):
                setattr(parent, name, RedactedArgument(value))
