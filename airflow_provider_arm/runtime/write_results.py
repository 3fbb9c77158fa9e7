"""What operators return of ARM's answer to a write. Loaded when a task runs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.http.redaction import Mask, mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_arm.client.models import AutoPostingsResponse, WriteResponse


def written(answer: WriteResponse, record: Mapping[str, Any]) -> dict[str, Any]:
    """Give what an operator returns of a write answer."""
    return {
        "customer_no": answer.customer_no or record.get("customerNo"),
        "account_no": answer.account_no,
        "result": answer.result,
        "warnings": masked_warnings(answer, Mask(record)),
    }


def in_short(answer: WriteResponse | None, record: Mapping[str, Any]) -> dict[str, Any]:
    """Give what an operator returns and the journal keeps of ARM's answer, without personal data."""
    if answer is None:
        return {"account_no": None, "status": None, "result": None, "warnings": []}
    return {
        "account_no": answer.account_no,
        "status": answer.status,
        "result": answer.result,
        "warnings": masked_warnings(answer, Mask(record)),
    }


def count_results(answer: AutoPostingsResponse) -> dict[str, int]:
    """Count ARM's words for the single postings."""
    return dict(Counter(mask(posting.result_type or posting.status or "") for posting in answer.postings()))


def list_warnings(answer: AutoPostingsResponse, postings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give ARM's remarks on postings that it took, each with its posting's place from 1."""
    masked = Mask(postings)  # a remark may quote any of the postings
    return [
        {"record": place, **warning}
        for place, posting in enumerate(answer.postings(), 1)
        for warning in masked_warnings(posting, masked)
    ]


def masked_warnings(answer: WriteResponse, mask: Mask) -> list[dict[str, Any]]:
    """Give ARM's remarks on a record that it took, with personal data masked."""
    return [{"field": warning.field, "message": mask(warning.message or "")} for warning in answer.warnings or []]
