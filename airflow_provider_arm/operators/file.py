"""Operator for uploads of files."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_arm.argument_readers import Reader, choice, path
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import ArmBatchFailedException
from airflow_provider_arm.runtime.arguments import check_arguments
from airflow_provider_arm.runtime.write_operator import ArmWriteOperator
from airflow_provider_arm.submission.results.reject_policy import RejectPolicy, TaskOutcome, read_max_rejected
from airflow_provider_arm.summary import FAILED, SUCCESS, count_text, summary_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

_OPERATION = "upload_files"
#: Names of files in the log and in errors: enough to recognise the upload.
SHOWN_NAMES = 3


def read_paths(name: str, value: Any) -> list[str]:
    """Return an argument that is the path of a file, or a list of paths."""
    members = [value] if isinstance(value, str | os.PathLike) else value
    if not isinstance(members, list | tuple) or not members:
        raise ArmConfigurationError(f"{name} must be the path of a file, or a list of paths")
    return [path()(name, member) for member in members]


class FileUploadOperator(ArmWriteOperator):
    """Upload files, such as attachments of invoices (``POST /clients/{clientno}/files``).

    All files are sent in one call, which is never repeated without proof; see ``ArmWriteOperator``. ARM reports a
    status for each file. The names of the fields are assumed (``files`` in the readings profile).

    :param paths: one or several files (local, ``s3://``, ...), each with another name. Templated.
    :param on_rejected: ``"fail"`` (default) or ``"warn"``, if ARM refuses more files than *max_rejected*.
    :param max_rejected: refused files that do not fail the task: a count, or a share such as ``"2%"``. Default 0.
    :return: ``{"files": [{"name", "file_id", "status"}], "uploaded", "rejected"}``; ``file_id`` is ARM's identifier.
    :raises ArmFailException: a file cannot be read, is empty or too large (nothing was sent); ARM refused the call or
        too many files; or the outcome is unknown.
    :raises ArmTransientException: ARM has certainly not accepted the call; a retry may help.
    """

    template_fields: Sequence[str] = (*ArmWriteOperator.template_fields, "paths", "max_rejected")
    argument_readers: ClassVar[Mapping[str, Reader]] = {
        **ArmWriteOperator.argument_readers,
        "paths": read_paths,
        "on_rejected": choice("fail", "warn"),
        "max_rejected": read_max_rejected,
    }

    def __init__(
        self,
        *,
        paths: str | Sequence[str] | XComArg,
        on_rejected: Literal["fail", "warn"] = "fail",
        max_rejected: int | str = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.paths: Any = paths
        self.on_rejected = on_rejected
        self.max_rejected = max_rejected
        check_arguments(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Upload the files."""
        with self._open_journal(context) as journal:
            policy = RejectPolicy(self.on_rejected, self.max_rejected)
            files = read_files(self.paths, self.hook.client.readings.files.max_bytes)
            names = [file["file_name"] for file in files]
            more = ", ..." if len(names) > SHOWN_NAMES else ""
            result = self._write_once(
                context,
                journal,
                operation=_OPERATION,
                record=files,
                name=f"upload of {count_text(len(names), 'file')} ({', '.join(names[:SHOWN_NAMES])}{more})",
                send=lambda: self._send(files),
            )
            refused = [file["name"] for file in result.get("files", []) if file["refused"]]
            uploaded = len(names) - len(refused)
            outcome = policy.task_outcome(len(names), len(refused) if result else None)
        message = summary_line(
            f"{uploaded} of {count_text(len(names), 'file')} stored",
            FAILED if outcome is TaskOutcome.FAIL else SUCCESS,
            f"refused: {', '.join(refused)}" if refused else None,
        )
        if outcome is TaskOutcome.FAIL:
            raise ArmBatchFailedException(message)
        self.log.info("%s", message)
        shown = [{name: file[name] for name in ("name", "file_id", "status")} for file in result.get("files", [])]
        return {"files": shown, "uploaded": uploaded, "rejected": len(refused)}

    def _send(self, files: list[dict[str, Any]]) -> dict[str, Any]:
        client = self.hook.client
        response = client.upload_files(files)
        failure_words = client.readings.write.failure_words
        results = [
            {
                "name": file["file_name"],
                "file_id": result.file_id,
                "status": result.status,
                "refused": (result.status or "").upper() in failure_words,
            }
            for file, result in zip(files, response.files, strict=True)
        ]
        return {"files": results}


def read_files(paths: Sequence[str], max_bytes: int) -> list[dict[str, Any]]:
    """Read the files of an upload, each as its name and the base64 of its bytes.

    :raises ArmConfigurationError: two have one name, or one cannot be read, is empty or too large.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    files = []
    for address in paths:
        path = ObjectStoragePath(address)
        try:
            with path.open("rb") as file:
                content = file.read(max_bytes + 1)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ArmConfigurationError(f"paths: {address} cannot be read ({reason})") from None
        if not 0 < len(content) <= max_bytes:
            limit = f"more than {max_bytes} bytes (files.max_bytes in the readings)"
            raise ArmConfigurationError(f"paths: {address} {'has ' + limit if content else 'is empty'}")
        files.append({"file_name": path.name, "content": base64.b64encode(content).decode()})
    names = [file["file_name"] for file in files]
    if duplicates := sorted({name for name in names if names.count(name) > 1}):
        raise ArmConfigurationError(f"paths: two files have the name {', '.join(duplicates)}")
    return files
