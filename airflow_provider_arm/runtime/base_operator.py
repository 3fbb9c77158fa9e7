"""Base class of the ARM operators: connection arguments, the hook, and arguments that Airflow must not store."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_arm.argument_readers import Reader, identifier, may_be_empty, text
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.hooks.settings import read_client_no
from airflow_provider_arm.runtime.arguments import add_inherited_params, check_arguments
from airflow_provider_arm.runtime.rendered import read_optional

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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


class ArmBaseOperator(BaseOperator):
    """Base class of the ARM operators.

    :param arm_conn_id: connection of type ``arm``. Default ``arm_default``. Templated.
    :param client_no: number of the ARM client. Default: the connection's. Templated.
    :param user_id: user that ARM records for changes. Default: the connection's. Templated.
    """

    template_fields: Sequence[str] = ("arm_conn_id", "client_no", "user_id")
    #: Templated arguments with personal data: rendered, but never stored or shown.
    personal_fields: ClassVar[Sequence[str]] = ()
    #: How each argument is read; see ``check_arguments``. A constructor ends with that check.
    argument_readers: ClassVar[Mapping[str, Reader]] = {
        "arm_conn_id": text,
        "client_no": read_client_no,
        "user_id": may_be_empty(identifier),
    }
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
        check_arguments(self)

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
