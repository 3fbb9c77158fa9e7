"""Table of ARM's operations: method, path, replay class, models of request and response.

Whether a call may be repeated does not follow from its HTTP method but from :attr:`Operation.replay`. Keys of bodies
and assumed paths are entries of the readings profile: :func:`operations_of` returns the table for a profile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.models import (
    ArItem,
    ArItemUpdate,
    ArmModel,
    AutoPosting,
    AutoPostingsResponse,
    Batch,
    BatchReceipt,
    Customer,
    CustomerWrite,
    Document,
    GlItem,
    PaymentReservation,
    WriteResponse,
)
from airflow_provider_arm.client.models.base import rename_fields
from airflow_provider_arm.client.models.file import FilesResponse, FileUpload
from airflow_provider_arm.client.models.log_item import LogItem
from airflow_provider_arm.client.readings import DEFAULT_READINGS, Readings

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Profiles whose tables are kept: a process has one per connection.
_CACHED_PROFILES = 16


class Replay(StrEnum):
    """Replay class of an operation: the effect of a second, identical call."""

    #: No further effect.
    SAFE = "safe"
    #: Unknown, but a lookup by a natural key shows whether the first call took effect.
    BY_KEY = "by key"
    #: It may book twice: never repeat it without proof that the first call had no effect.
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the operations table."""

    name: str
    method: str
    #: Path under the base URL. ``{clientno}`` and other names in braces are replaced by quoted values.
    path: str
    replay: Replay
    #: Model of one record in the request body.
    record: type[ArmModel] | None = None
    #: Model of the response, of one record of it for a list. It decides how the response is read.
    response: type[ArmModel] | None = None
    #: Key of the record or records in the body of a write or in a list; ``None``: the body of a write is the record.
    key: str | None = None
    #: For a list: the field that identifies a record.
    item_key: str | None = None
    #: HTTP statuses other than 2xx that are results, not errors.
    also_results: frozenset[int] = frozenset()
    #: Whether method and path are documented in the reference.
    documented: bool = True

    @property
    def label(self) -> str:
        """Method and path template; contains no data, so every message may show it."""
        return f"{self.method} {self.path}"


_CLIENT = "/clients/{clientno}"
_SAFE, _BY_KEY, _NEVER = Replay.SAFE, Replay.BY_KEY, Replay.NEVER


def _read(name: str, path: str, response: type[ArmModel], **more: Any) -> Operation:
    return Operation(name, "GET", _CLIENT + path, Replay.SAFE, response=response, **more)


def _list(name: str, path: str, model: type[ArmModel], item_key: str, **more: Any) -> Operation:
    return _read(name, path, model, item_key=item_key, **more)


def _titled(name: str, path: str) -> Operation:
    """Define a read of which only the title is documented: its path and key are in the profile, its fields unknown."""
    return _read(name, path, ArmModel, documented=False)


def _write(
    name: str,
    call: str,
    replay: Replay,
    record: type[ArmModel] | None = None,
    *,
    response: type[ArmModel] | None = WriteResponse,
    documented: bool = True,
) -> Operation:
    method, path = call.split(" ")
    return Operation(name, method, _CLIENT + path, replay, record, response, documented=documented)


_TABLE = (
    Operation("check_health", "GET", "/health", Replay.SAFE, documented=False),
    _read("get_customer", "/customers/{customerno}", Customer),
    _list("list_customers", "/customers", Customer, "customerNo"),
    _write("upsert_customer", "POST /customers", _SAFE, CustomerWrite),
    _write("update_customer", "PUT /customers", _SAFE, CustomerWrite),
    _write("delete_customer", "DELETE /customers/{customerno}", _SAFE),
    _write("create_customer_batch", "POST /customers/batches", _SAFE, CustomerWrite, response=BatchReceipt),
    _write("update_customer_batch", "PUT /customers/batches", _SAFE, CustomerWrite, response=BatchReceipt),
    _read("get_batch", "/batches/{batchuuid}", Batch),
    _read("get_ar_item", "/aritems/{aritemid}", ArItem),
    _list("list_ar_items", "/aritems", ArItem, "arItemId"),
    _write("update_ar_item", "PUT /aritems", _NEVER, ArItemUpdate),  # it can create a credit note
    _write("create_document_batch", "POST /documents/batches", _BY_KEY, Document, response=BatchReceipt),
    # The paths of the next two are in the profile: only their titles are documented.
    _write("create_document", "POST /documents", _BY_KEY, Document, documented=False),
    _list("list_documents", "/documents", Document, "documentNo", documented=False),
    _read("get_document", "/documents/{documentno}", Document),
    # ARM accepts all postings or none.
    _write(
        "create_auto_postings",
        "POST /autopostings/{autopostingmethod}",
        _NEVER,
        AutoPosting,
        response=AutoPostingsResponse,
    ),
    _write("create_payment_reservation", "POST /paymentreservations", _BY_KEY, PaymentReservation),
    _write("upload_files", "POST /files", _NEVER, FileUpload, response=FilesResponse),
    _list("list_gl_items", "/glitems", GlItem, "glItemId"),
    _read("get_gl_item", "/glitems/{glitemid}", GlItem),
    # Only the title is documented: its path and key are in the profile, its fields are assumed.
    _list("list_log_items", "/logitems", LogItem, "logItemId", documented=False),
    _read("get_log_item", "/logitems/{logitemid}", LogItem, documented=False),
    _titled("list_document_bundles", "/documentbundles"),
    _titled("get_document_bundle", "/documentbundles/{documentbundleid}"),
    _titled("list_client_configs", "/clientconfigs"),
    _titled("get_client_config", "/clientconfigs/{configkey}"),
    _titled("list_codes", "/codes"),
    _titled("list_gl_movements", "/glmovements"),
    _titled("get_gl_balance", "/glmovements/latest"),
    _titled("list_adb_intervals", "/insights/adbintervals"),
    _titled("list_files", "/files"),
    _titled("get_file", "/files/{fileid}"),
    _write("create_action", "POST /actions", _NEVER, response=None, documented=False),
    _write("create_report", "POST /actions/reports", _NEVER, response=None, documented=False),
)


@lru_cache(_CACHED_PROFILES)
def operations_of(readings: Readings) -> Mapping[str, Operation]:
    """Return every operation by name, with the keys and the assumed paths of a profile."""
    keys = readings.record_keys.model_dump() | readings.lists.record_keys.model_dump()
    paths = readings.paths.model_dump()
    gl_item = rename_fields(GlItem, readings.gl_items.model_dump())
    changes: dict[str, dict[str, Any]] = {
        "list_gl_items": {"item_key": readings.gl_items.gl_item_id, "response": gl_item},
        "get_gl_item": {"response": gl_item},
        "upload_files": {
            "record": rename_fields(
                FileUpload, {"file_name": readings.files.name_key, "content": readings.files.content_key}
            )
        },
        "get_batch": {"also_results": frozenset(readings.batch.rejected_codes)},
    }
    return {
        row.name: replace(row, key=keys.get(row.name), path=paths.get(row.name, row.path), **changes.get(row.name, {}))
        for row in _TABLE
    }


#: Every operation by name, with the defaults of the profile.
OPERATIONS = operations_of(DEFAULT_READINGS)
