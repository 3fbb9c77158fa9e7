"""Profiles that a sandbox plays, and that the observation must find: what a real ARM might be like."""

from __future__ import annotations

from typing import Any

#: By name: what the client needs to know, and where the observation sees it.
PLAYED: dict[str, dict[str, Any]] = {
    "default": {},
    "other success word": {"batch": {"success_words": ["COMPLETED"]}},
    "other words": {
        "batch": {
            "pending_words": ["QUEUED"],
            "success_words": ["DONE"],
            "partial_words": ["DONE_WITH_ERRORS"],
            "failure_words": ["INVALID", "REFUSED"],
        },
        "write": {"success_words": ["SAVED"], "failure_words": ["NOT_SAVED"]},
    },
    "other status codes": {
        "batch": {"pending_codes": [203], "finished_codes": [201, 207], "success_codes": [201], "rejected_codes": [422]}
    },
    "partial code means pending": {
        "batch": {"pending_codes": [206], "finished_codes": [200, 207], "success_codes": [200]}
    },
    "other keys of a batch": {
        "batch": {
            "uuid_key": "batchId",
            "status_key": "state",
            "total_key": "records",
            "processed_key": "accepted",
            "failed_key": "rejected",
            "errors_key": "problems",
            "record_number_key": "line",
        }
    },
    "other key of the results": {"batch": {"records_key": "results"}},
    "other key of a status": {"write": {"status_key": "outcome"}},
    "batch not found at first": {"batch": {"not_found_grace": 30.0}},
    "small batches": {"batch": {"max_records": 100}},
    "odd limit of batches": {"batch": {"max_records": 42}},
    "body without key": {"record_keys": {"upsert_customer": None, "update_customer": None}},
    "arrays as batches": {
        "record_keys": {"create_customer_batch": None, "update_customer_batch": None, "create_document_batch": None}
    },
    "other keys of bodies": {
        "write": {"metadata_key": "meta"},
        "record_keys": {
            "upsert_customer": "data",
            "create_customer_batch": "records",
            "create_document_batch": "items",
        },
    },
    "metadata is required": {"write": {"metadata_without_user": True}},
    "other keys of lists": {
        "lists": {
            "summary_key": "paging",
            "record_keys": {"list_customers": "items", "list_ar_items": "rows", "list_gl_items": "entries"},
        }
    },
    "other page parameters": {
        "lists": {
            "parameters": {"page_size": "limit", "page_number": "page", "query": "cursor", "maximum_count": "maxcount"}
        }
    },
    "low limits of lists": {"lists": {"max_page_size": 20, "max_records": 40}},
    "empty list is 404": {"lists": {"empty_is_404": True}},
    "other code of an expired query": {"lists": {"expired_codes": [409]}},
    "other filters of windows": {
        "filters": {
            "windows": {
                "voucherdate": {"first": "voucherdatefrom", "last": "voucherdateto", "last_included": True},
                "createdtime": {"first": "createdfrom", "last": "createdto", "last_included": True},
            }
        }
    },
    "last day is excluded": {
        "filters": {
            "windows": {
                "voucherdate": {"first": "fromvoucherdate", "last": "tovoucherdate", "last_included": False},
                "createdtime": {"first": "fromcreatedtime", "last": "tocreatedtime", "last_included": False},
            }
        }
    },
    "other fields of GL items": {
        "gl_items": {
            "gl_item_id": "entryId",
            "currency": "valuta",
            "currency_amount": "amountInCurrency",
            "voucher_date": "bookedOn",
            "created_time": "bookedAt",
        }
    },
    "credentials in the header": {"calls": {"token_auth": "basic"}},
    "token call with a scope": {"calls": {"token_scope": "arm.read_write"}},
}
PLAYED["everything differs"] = {
    "batch": PLAYED["other words"]["batch"]
    | PLAYED["other status codes"]["batch"]
    | PLAYED["other keys of a batch"]["batch"],
    "write": PLAYED["other words"]["write"] | {"status_key": "outcome", "metadata_key": "header"},
    "record_keys": PLAYED["other keys of bodies"]["record_keys"],
    "lists": PLAYED["other keys of lists"]["lists"]
    | PLAYED["low limits of lists"]["lists"]
    | PLAYED["other page parameters"]["lists"]
    | PLAYED["empty list is 404"]["lists"],
    "filters": PLAYED["other filters of windows"]["filters"],
    "gl_items": PLAYED["other fields of GL items"]["gl_items"],
    "calls": {"token_auth": "basic", "token_scope": "arm.read_write"},
}
