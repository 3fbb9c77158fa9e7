"""Sections and entries of the readings profile, with their defaults. See ``client.readings``."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from airflow_provider_arm.client.errors import ArmConfigurationError

#: HTTP statuses are between these two.
_MIN_CODE, _MAX_CODE = 100, 599
#: Characters of a name or a word at most: any longer one is a mistake.
_MAX_LENGTH = 100


def _fold_words(words: Any) -> Any:
    """Return words without regard to case, as ARM compares values."""
    if isinstance(words, str) or not isinstance(words, Iterable):
        raise ValueError("must be a list of words")  # noqa: TRY004 - pydantic turns only a ValueError into a field error
    return [word.strip().upper() if isinstance(word, str) else word for word in words]


def _sort(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(sorted(set(values)))


def _check_name(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise ValueError("must be a name without spaces around it")
    return name


def _check_path(path: str) -> str:
    if not path.startswith("/") or "?" in path or "#" in path or "//" in path:
        raise ValueError("must be a path that starts with /, such as /clients/{clientno}/logitems")
    return path


_Name = Annotated[str, Field(min_length=1, max_length=_MAX_LENGTH), AfterValidator(_check_name)]
#: Name of a header; compared without regard to case.
_Header = Annotated[
    str, Field(min_length=1, max_length=_MAX_LENGTH, pattern="^[A-Za-z0-9-]+$"), AfterValidator(str.lower)
]
_Word = Annotated[str, Field(min_length=1, max_length=_MAX_LENGTH)]
#: Words that ARM writes as a status; compared without regard to case.
Words = Annotated[tuple[_Word, ...], Field(min_length=1), BeforeValidator(_fold_words), AfterValidator(_sort)]
_Code = Annotated[int, Field(ge=_MIN_CODE, le=_MAX_CODE, strict=True)]
Codes = Annotated[tuple[_Code, ...], Field(min_length=1), AfterValidator(_sort)]
_Success = Annotated[int, Field(ge=200, le=299, strict=True)]
_Rejection = Annotated[int, Field(ge=400, le=499, strict=True)]
RejectionCodes = Annotated[tuple[_Rejection, ...], Field(min_length=1), AfterValidator(_sort)]
SuccessCodes = Annotated[tuple[_Success, ...], Field(min_length=1), AfterValidator(_sort)]
_Path = Annotated[str, Field(max_length=_MAX_LENGTH), AfterValidator(_check_path)]


class Consequence(StrEnum):
    """What happens if an entry does not fit the real ARM."""

    WAIT = "The response counts as invalid: the wait goes on, logs the entry, and fails at its deadline."
    WRITE = "ARM refuses the write, or its response counts as unknown: the task fails."
    SUBMIT = "The outcome of the submission is unknown: the task fails, and nothing is sent again without a lookup."
    LIST = "The export or poll fails: a list is complete or raises."
    FILTER = "ARM refuses the filter, or ignores it, which the export detects by the records' dates: it fails."
    PATH = "ARM answers 404: the call fails."
    GL_FIELD = "The export of GL items fails, or has no totals for the field."
    NO_TOKEN = "No token: every call fails, and names the token service."  # noqa: S105 - a sentence
    NOTHING = "Nothing fails: messages lack the identifier."
    RESEND = "A write that ARM refused with 401 would be sent a second time."
    LIMIT = "ARM refuses the request, or it is split more than necessary."


def _assumed(
    default: Any,
    description: str,
    question: int | None = None,
    *,
    if_wrong: Consequence | None = None,
    documented: bool = False,
) -> Any:
    """Define an entry.

    :param question: its number in the working contract.
    :param if_wrong: default: that of the section.
    """
    extra: dict[str, Any] = {"question": question, "documented": documented, "if_wrong": if_wrong}
    return Field(default, description=description, json_schema_extra=extra)


_documented = partial(_assumed, documented=True)


class ReadingsSection(BaseModel):
    """Group of entries of the profile."""

    #: What happens if one of them does not fit the real ARM.
    if_wrong: ClassVar[Consequence] = Consequence.LIST
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class BatchReadings(ReadingsSection):
    """Batches: response to a submission, and body of ``GET /clients/{clientno}/batches/{batchuuid}``.

    A record in a batch has a status of the batch or of a write.
    """

    if_wrong: ClassVar[Consequence] = Consequence.WAIT

    uuid_key: _Name = _documented(
        "batchUuid", "Key of the batchUuid in the response to a submission.", 1, if_wrong=Consequence.SUBMIT
    )
    status_key: _Name = _assumed("status", "Key of the status of the batch.", 2)
    total_key: _Name = _assumed("totalCount", "Key of the number of records.", 2)
    processed_key: _Name = _assumed("processedCount", "Key of the number of accepted records.", 2)
    failed_key: _Name = _assumed("failedCount", "Key of the number of rejected records.", 2)
    errors_key: _Name = _assumed("errors", "Key of the errors of a batch that is rejected as a whole.", 2)
    records_key: _Name | None = _assumed(
        None, "Key of the results of the records; by default the only list of objects in the body.", 2
    )
    record_number_key: _Name = _assumed("recordNo", "Key of a record's position in the batch, from 1.", 2)
    pending_codes: SuccessCodes = _assumed((HTTPStatus.ACCEPTED.value,), "HTTP statuses of a batch in progress.", 3)
    finished_codes: SuccessCodes = _assumed(
        (HTTPStatus.OK.value, HTTPStatus.PARTIAL_CONTENT.value),
        "HTTP statuses of a batch whose body tells its state.",
        3,
    )
    success_codes: SuccessCodes = _assumed(
        (HTTPStatus.OK.value,), "Those of finished_codes without rejected records.", 3
    )
    rejected_codes: RejectionCodes = _assumed(
        (HTTPStatus.NOT_ACCEPTABLE.value,), "HTTP statuses of a batch that is rejected as a whole.", 3
    )
    pending_words: Words = _assumed(
        ("ACCEPTED", "PROCESSING", "RECEIVED"), "Statuses of a batch or record in progress.", 3
    )
    success_words: Words = _assumed(("PROCESSED",), "Statuses of a batch that succeeded.", 3)
    partial_words: Words = _assumed(("PARTIAL",), "Statuses of a finished batch with some rejected records.", 3)
    failure_words: Words = _assumed(("FAILED", "REJECTED"), "Statuses of a batch that is rejected.", 3)
    not_found_grace: Annotated[float, Field(ge=0, le=86_400)] = _assumed(
        0.0, "Seconds after a submission in which ARM may answer 404 for its batch.", 4
    )
    max_records: Annotated[int, Field(ge=1, le=100_000)] = _assumed(
        1000, "Records of one batch at most.", 16, if_wrong=Consequence.LIMIT
    )


class WriteReadings(ReadingsSection):
    """Writes: request bodies, and responses about one record."""

    if_wrong: ClassVar[Consequence] = Consequence.WRITE

    metadata_key: _Name = _documented("metadata", "Key of the metadata beside the records in a body.")
    user_key: _Name = _documented("userId", "Key of the user in the metadata.")
    metadata_without_user: bool = _assumed(
        default=False, description="Whether a body has empty metadata if no user is set."
    )
    status_key: _Name = _documented("status", "Key of the status of a written record.")
    ar_item_id_key: _Name = _assumed("arItemId", "Key of the AR item in its changes, whose path does not name it.")
    options_key: _Name = _assumed("options", "Key of the options of an auto posting, such as validateOnly.")
    success_words: Words = _documented(("PROCESSED",), "Statuses of a record that ARM has written.")
    failure_words: Words = _assumed(
        ("FAILED", "REJECTED"), "Statuses of a record that ARM has refused; FAILED is documented."
    )


class RecordKeyReadings(ReadingsSection):
    """Key of the record or records in the body of each write, beside the metadata; null: the body is the record."""

    if_wrong: ClassVar[Consequence] = Consequence.WRITE

    upsert_customer: _Name | None = _documented("customer", "One customer.")
    update_customer: _Name | None = _assumed("customer", "One customer.")
    create_customer_batch: _Name | None = _assumed("customers", "A batch of customers.")
    update_customer_batch: _Name | None = _assumed("customers", "A batch of customers.")
    create_document_batch: _Name | None = _documented("documents", "A batch of documents.")
    create_document: _Name | None = _assumed("document", "One document.")
    update_ar_item: _Name | None = _assumed("arItem", "Changes of an AR item.")
    create_auto_postings: _Name | None = _assumed("autoPostings", "A set of auto postings.")
    create_payment_reservation: _Name | None = _assumed("paymentReservation", "A payment reservation.")
    upload_files: _Name | None = _assumed("files", "Files to upload.")
    create_action: _Name | None = _assumed("action", "An action.")
    create_report: _Name | None = _assumed("report", "A report to generate.")


class ListKeyReadings(ReadingsSection):
    """Key of the records in the body of each list; another key is accepted if it is the only list in the body."""

    if_wrong: ClassVar[Consequence] = Consequence.LIST

    list_customers: _Name = _documented("customers", "Customers.", 8)
    list_ar_items: _Name = _assumed("arItems", "AR items.", 8)
    list_documents: _Name = _assumed("documents", "Documents.", 8)
    list_gl_items: _Name = _assumed("glItems", "GL items.", 8)
    list_log_items: _Name = _assumed("logItems", "Log items.", 8)
    list_document_bundles: _Name = _assumed("documentBundles", "Document bundles.", 8)
    list_client_configs: _Name = _assumed("clientConfigs", "Client configurations.", 8)
    list_codes: _Name = _assumed("codes", "Codes.", 8)
    list_gl_movements: _Name = _assumed("glMovements", "GL movements.", 8)
    list_adb_intervals: _Name = _assumed("adbIntervals", "Intervals of the age-distributed balance.", 8)
    list_files: _Name = _assumed("files", "Files.", 8)


class PageParameterReadings(ReadingsSection):
    """Query parameters of lists. They are documented for the list of customers only."""

    if_wrong: ClassVar[Consequence] = Consequence.LIST

    maximum_count: _Name = _documented("maximumcount", "Records of one query at most.")
    page_size: _Name = _documented("pagesize", "Records of a page.")
    page_number: _Name = _documented("pageno", "Number of a page of a kept query.")
    query: _Name = _documented("query", "Identifier of a kept query.")


class ListReadings(ReadingsSection):
    """Lists: query parameters, pages, and what an empty list is."""

    if_wrong: ClassVar[Consequence] = Consequence.LIST

    record_keys: ListKeyReadings = ListKeyReadings()
    parameters: PageParameterReadings = PageParameterReadings()
    summary_key: _Name = _documented("summary", "Key of the summary beside the records.")
    max_page_size: Annotated[int, Field(ge=1, le=100_000)] = _documented(
        1000, "Records of a page at most.", if_wrong=Consequence.LIMIT
    )
    max_records: Annotated[int, Field(ge=1, le=10_000_000)] = _documented(
        10_000, "Records of one query at most, if the summary has no maximumCount.", 9, if_wrong=Consequence.LIMIT
    )
    empty_is_404: bool = _assumed(default=False, description="Whether ARM answers 404 for an empty list.", question=12)
    expired_codes: Codes = _assumed(
        (HTTPStatus.NOT_FOUND.value, HTTPStatus.GONE.value),
        "HTTP statuses for a page of a query that ARM no longer keeps.",
        11,
    )


class WindowFilter(ReadingsSection):
    """The two filters of a window, by one date of the records."""

    first: _Name = Field(description="Filter of the first day or time.")
    last: _Name = Field(description="Filter of the last day or time.")
    last_included: bool = Field(
        default=True, description="Whether records of the last day or time are among the result."
    )

    @property
    def names(self) -> set[str]:
        """Both filters."""
        return {self.first, self.last}


def default_windows() -> dict[str, WindowFilter]:
    """Build the windows that every profile has."""
    names = ("voucherdate", "duedate", "createdtime", "documentdate")
    return {name: WindowFilter(first=f"from{name}", last=f"to{name}") for name in names}


class FilterReadings(ReadingsSection):
    """Filters of lists by their meaning. Filters of a DAG are passed through and need no entry."""

    if_wrong: ClassVar[Consequence] = Consequence.FILTER

    windows: dict[_Name, WindowFilter] = _assumed(
        default_windows(), "Filters of a window, by the value of DateWindow(by=...); a profile may add dates.", 7
    )
    created_window: _Name = _assumed(
        "createdtime", "The window by which new records are found: its filters take times.", 7
    )

    def window(self, by: str) -> WindowFilter:
        """Return the filters of the window by a date.

        :raises ArmConfigurationError: the profile has no such window; the message lists those it has.
        """
        try:
            return self.windows[by]
        except KeyError:
            names = ", ".join(self.windows)
            msg = f"window: by must be one of {names}, not {by!r}; another date needs filters.windows in the readings"
            raise ArmConfigurationError(msg) from None


class PathReadings(ReadingsSection):
    """Paths of operations that the reference names by title only."""

    if_wrong: ClassVar[Consequence] = Consequence.PATH

    check_health: _Path = _assumed("/health", "Check the health of ARM.")
    create_document: _Path = _assumed("/clients/{clientno}/documents", "Create one document.")
    list_documents: _Path = _assumed("/clients/{clientno}/documents", "List documents.")
    list_log_items: _Path = _assumed("/clients/{clientno}/logitems", "List log items.")
    get_log_item: _Path = _assumed("/clients/{clientno}/logitems/{logitemid}", "Get one log item.")
    list_document_bundles: _Path = _assumed("/clients/{clientno}/documentbundles", "List document bundles.")
    get_document_bundle: _Path = _assumed(
        "/clients/{clientno}/documentbundles/{documentbundleid}", "Get one document bundle."
    )
    list_client_configs: _Path = _assumed("/clients/{clientno}/clientconfigs", "List client configurations.")
    get_client_config: _Path = _assumed(
        "/clients/{clientno}/clientconfigs/{configkey}", "Get one client configuration."
    )
    list_codes: _Path = _assumed("/clients/{clientno}/codes", "List codes.")
    list_gl_movements: _Path = _assumed("/clients/{clientno}/glmovements", "List GL movements.")
    get_gl_balance: _Path = _assumed("/clients/{clientno}/glmovements/latest", "Get the latest closed GL period.")
    list_adb_intervals: _Path = _assumed("/clients/{clientno}/insights/adbintervals", "List ADB intervals.")
    list_files: _Path = _assumed("/clients/{clientno}/files", "List files.")
    get_file: _Path = _assumed("/clients/{clientno}/files/{fileid}", "Get one file.")
    create_action: _Path = _assumed("/clients/{clientno}/actions", "Create an action.")
    create_report: _Path = _assumed("/clients/{clientno}/actions/reports", "Generate a report.")


class GlItemReadings(ReadingsSection):
    """ARM's names of the fields of GL items that exports and reconciliations use; others are named as in an AR item."""

    if_wrong: ClassVar[Consequence] = Consequence.GL_FIELD

    gl_item_id: _Name = _assumed("glItemId", "Field that identifies a GL item.", 8)
    currency: _Name = _assumed("currency", "Currency of the amount.", 8)
    currency_amount: _Name = _assumed("currencyAmount", "Amount in that currency.", 8)
    gl_amount: _Name = _assumed("glAmount", "Amount in the client's own currency.", 8)
    voucher_date: _Name = _assumed("voucherDate", "Voucher date.", 8)
    created_time: _Name = _assumed("createdTime", "Created time.", 8)
    gl_year: _Name = _assumed("glYear", "Year of the ledger.", 8)
    gl_period: _Name = _assumed("glPeriod", "Period of the ledger.", 8)


class FileReadings(ReadingsSection):
    """Uploads of files: names in request and response, and the size."""

    if_wrong: ClassVar[Consequence] = Consequence.WRITE

    name_key: _Name = _assumed("fileName", "Key of the name of a file.")
    content_key: _Name = _assumed("content", "Key of the content of a file, as base64.")
    id_key: _Name = _assumed("fileId", "Key of ARM's identifier of a file in the response.")
    max_bytes: Annotated[int, Field(ge=1, le=1_000_000_000)] = _assumed(
        10_000_000, "Bytes of one file at most.", if_wrong=Consequence.LIMIT
    )


class CallReadings(ReadingsSection):
    """Calls in general, and the token service."""

    if_wrong: ClassVar[Consequence] = Consequence.NO_TOKEN

    token_urls: dict[_Name, _Name] = _assumed(
        {"api.staging.amili.no": "https://auth.staging.amili.no/token", "api.amili.no": "https://auth.amili.no/token"},
        "URL of the token service by API host, for a connection without auth_url.",
    )
    token_auth: Annotated[str, Field(pattern="^(body|basic)$")] = _documented(
        "body", 'Where client ID and secret are sent: "body" of the token call, or header ("basic").'
    )
    token_scope: _Name | None = _assumed(None, "Scope of the token call, for a connection without scope.")
    checks_token_first: bool = _assumed(
        default=True,
        description="Whether ARM checks the token before it accepts a request, so that a 401 had no effect.",
        if_wrong=Consequence.RESEND,
    )
    request_id_headers: tuple[_Header, ...] = _assumed(
        ("x-request-id", "request-id", "x-correlation-id", "traceparent"),
        "Headers that may contain ARM's identifier of a request.",
        if_wrong=Consequence.NOTHING,
    )
