"""Tables of the fields of ARM's records, as the reference shows them.

They duplicate the client's models on purpose: if the sandbox used those models, a field with a wrong name in the client
would have the same wrong name here, and no test would fail.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "text",
    "integer",
    "number",
    "boolean",
    "date",
    "time",
    "texts",
    "emails",
    "object",
    "objects",
    "anything",
    "currency",
    "country",
    "language",
    "organization",
    "kid",
]


@dataclass(frozen=True, slots=True)
class Field:
    """Definition of one field of a record."""

    name: str
    kind: Kind = "text"
    #: Must be present when the record is created.
    required: bool = False
    #: Returned by GET only: a write ignores it, with a warning.
    read_only: bool = False
    #: Accepted in a write only: GET never returns it.
    write_only: bool = False
    #: The fields of an ``object``, or of each item of ``objects``.
    fields: tuple[Field, ...] = field(default=())


def _read_only(name: str, kind: Kind = "text") -> Field:
    return Field(name, kind, read_only=True)


POSTAL_ADDRESS = (
    Field("addressLine1"),
    Field("addressLine2"),
    Field("addressLine3"),
    Field("postalCode"),
    Field("cityName"),
    Field("countryText"),
    Field("countryCode", "country"),
)

DISTRIBUTION = (Field("type"), Field("einvoiceCode", "integer"))

#: In the order in which ARM returns a customer's fields.
CUSTOMER = (
    _read_only("clientNo", "integer"),
    _read_only("accountNo", "integer"),
    Field("customerNo", required=True),
    Field("name", required=True),
    _read_only("postalReturnStatus", "integer"),
    _read_only("postalReturnDate", "date"),
    Field("customerCategory"),
    Field("phoneNo"),
    Field("secondaryPhoneNo"),
    Field("organizationNo", "organization"),
    _read_only("organizationNoScheme"),
    Field("dateOfBirth", "date"),
    Field("yearOfBirth", "integer"),
    Field("ssn"),
    Field("ssnCountry", "country"),
    Field("informalName"),
    Field("customerGroupCode"),
    Field("priceNetOrGross"),
    Field("language", "language"),
    _read_only("usingLanguage"),
    Field("currency", "currency"),
    Field("sellerReference"),
    Field("buyerReference"),
    Field("bankAccountNo"),
    Field("stopReminderUntil", "date"),
    Field("stopReminderMemo", write_only=True),
    Field("stopDebtCollectionUntil", "date"),
    Field("stopDebtCollectionMemo", write_only=True),
    Field("stopInterestCalcUntil", "date"),
    Field("stopInterestCalcMemo", write_only=True),
    Field("dueDays", "integer"),
    Field("vatLiable", "boolean"),
    Field("discountRate", "number"),
    Field("activeStatusWeb"),
    Field("customerMessage"),
    Field("limitAmount", "number"),
    _read_only("registrationStatusCode"),
    _read_only("registrationStatusDate", "date"),
    _read_only("postalAddressChanged", "date"),
    Field("postalAddress", "object", fields=POSTAL_ADDRESS),
    Field("emailAddressDocument", "emails"),
    Field("secondaryEmailAddress", "emails"),
    Field("distribution", "object", fields=DISTRIBUTION),
    Field("efakturaBlockIds", "texts"),
    Field("peppolBlockIds", "texts"),
    Field("digipostBlockIds", "texts"),
    Field("options", "texts", write_only=True),
)

CURRENCY_AMOUNTS = (Field("exclVat", "number"), Field("vat", "number"), Field("inclVat", "number", required=True))

DOCUMENT_LINE = (
    Field("lineNo", "integer"),
    Field("lineType"),
    Field("articleNo"),
    Field("articleName"),
    Field("lineText"),
    Field("quantityUnit"),
    Field("quantity", "number"),
    Field("volumeUnit"),
    Field("volume", "number"),
    Field("price", "number"),
    Field("itemGroup1"),
    Field("itemGroup2"),
    Field("itemGroup3"),
    Field("currencyAmounts", "object", fields=CURRENCY_AMOUNTS),
)

EINVOICE_ADDRESS = (Field("address"), Field("addressScheme"), Field("operator"))

#: In the order of the documented batch. The fields without which no AR item can be booked are required: assumed.
DOCUMENT = (
    _read_only("clientNo", "integer"),
    _read_only("accountNo", "integer"),
    Field("documentType", required=True),
    Field("customerNo", required=True),
    Field("documentNo", required=True),
    Field("documentDate", "date", required=True),
    Field("dueDate", "date"),
    Field("currency", "currency"),
    Field("language", "language"),
    Field("kid", "kid"),
    Field("marketingMessageCode"),
    Field("customerMessage"),
    Field("salesOrderId"),
    Field("purchaseOrderId"),
    Field("sellerReference"),
    Field("buyerReference"),
    Field("additionalReference"),
    Field("subCustomerNo"),
    Field("ledgerNote"),
    Field("currencyAmounts", "object", required=True, fields=CURRENCY_AMOUNTS),
    Field("distribution", "object", fields=DISTRIBUTION),
    Field("einvoiceAddress", "object", fields=EINVOICE_ADDRESS),
    Field("emailAddress", "emails"),
    Field("attachmentFiles", "anything"),
    Field("attachmentCodes", "anything"),
    Field("customCodes", "anything"),
    Field("documentLines", "objects", fields=DOCUMENT_LINE),
)

#: An AR item as GET returns it, in the documented order.
AR_ITEM = (
    Field("clientNo", "integer"),
    Field("accountNo", "integer"),
    Field("referenceNo", "integer"),
    Field("referenceSequenceNo", "integer"),
    Field("arItemId", required=True),
    Field("customerNo"),
    Field("documentNo"),
    Field("voucherDate", "date"),
    Field("dueDate", "date"),
    Field("originalDueDate", "date"),
    Field("currency", "currency"),
    Field("currencyAmount", "number"),
    Field("currencyBalance", "number"),
    Field("glAmount", "number"),
    Field("glBalance", "number"),
    Field("kid"),
    Field("voucherType", "integer"),
    Field("voucherTypeDescription"),
    Field("voucherNo", "integer"),
    Field("transactionText"),
    Field("glCaseNo", "integer"),
    Field("glLotNo", "integer"),
    Field("glYear", "integer"),
    Field("glPeriod", "integer"),
    Field("externalId1"),
    Field("ledgerPeriodReportNo", "integer"),
    Field("reservedStatus"),
    Field("createdTime", "time"),
)

#: Fields that PUT of an AR item accepts. The reference names the operation, not the fields: assumed.
AR_ITEM_UPDATE = (
    Field("arItemId", required=True),
    Field("dueDate", "date"),
    Field("transactionText"),
    Field("externalId1"),
    Field("reservedStatus"),
    # "Can also create a credit note" is documented; the field that requests it is assumed.
    Field("creditNote", "object", fields=(Field("documentNo"), Field("currencyAmount", "number", required=True))),
    *(
        _read_only(f.name, f.kind)
        for f in AR_ITEM
        if f.name not in {"arItemId", "dueDate", "transactionText", "externalId1", "reservedStatus"}
    ),
)

#: One posting of ``autopostings``. The fields are assumed from the names that the reference uses elsewhere.
AUTO_POSTING = (
    Field("arItemId"),
    Field("documentNo"),
    Field("kid"),
    Field("currency", "currency"),
    Field("currencyAmount", "number", required=True),
    Field("voucherDate", "date"),
    Field("transactionText"),
    Field("externalId1"),
    Field("options", "texts"),
)

#: A payment reservation. The keys of the document or the customer are documented; the amount's key is assumed.
PAYMENT_RESERVATION = (
    Field("paymentId", required=True),
    Field("arItemId"),
    Field("documentNo"),
    Field("documentUuid"),
    Field("referenceNo", "integer"),
    Field("kid"),
    Field("accountNo", "integer"),
    Field("customerNo"),
    Field("currency", "currency"),
    Field("currencyAmount", "number", required=True),
)
