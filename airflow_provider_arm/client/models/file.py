"""Files to upload. The reference documents the call and its codes, not these fields: their names are in the profile."""

from __future__ import annotations

from pydantic import Field

from airflow_provider_arm.client.models.base import ArmModel
from airflow_provider_arm.client.models.write import FieldMessage


class FileUpload(ArmModel):
    """One file to upload."""

    file_name: str = Field(min_length=1)
    #: Base64 of the bytes.
    content: str = Field(repr=False)


class FileResult(ArmModel):
    """Result of one uploaded file."""

    file_name: str | None = None
    #: ARM's identifier of the file.
    file_id: str | None = None
    status: str | None = None
    message: str | None = None
    errors: list[FieldMessage] | None = None


class FilesResponse(ArmModel):
    """Response to an upload: 200, or 207 with a status per file."""

    #: One result per file, in the order in which they were sent.
    files: list[FileResult] = Field(default_factory=list)
