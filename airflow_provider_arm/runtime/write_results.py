"""Results of operators from ARM's responses to writes, without personal data. Loaded when a task runs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.http.redaction import Mask, mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_arm.client.models import AutoPostingsResponse, WriteResponse


def customer_result(response: WriteResponse, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the operators for one customer return."""
    result = {"customer_no": response.customer_no or record.get("customerNo"), **write_result(response, record)}
    del result["status"]
    return result


def write_result(response: WriteResponse, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the operator of a single write returns and the journal stores."""
    return {
        "account_no": response.account_no,
        "status": response.status,
        "result": response.result,
        "warnings": _masked_warnings(response, Mask(record)),
    }


def postings_result(response: AutoPostingsResponse, postings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what ``AutoPostingOperator`` returns and the journal stores, with all warnings."""
    masked = Mask(postings)  # a warning may quote any of the postings
    answers = response.postings()
    return {
        "status": response.status,
        "result_types": dict(Counter(mask(posting.result_type or posting.status or "") for posting in answers)),
        "warnings": [
            {"record": position, **warning}
            for position, posting in enumerate(answers, 1)
            for warning in _masked_warnings(posting, masked)
        ],
    }


def _masked_warnings(response: WriteResponse, mask: Mask) -> list[dict[str, Any]]:
    return [{"field": warning.field, "message": mask(warning.message or "")} for warning in response.warnings or []]
