"""Customer and AR item exactly as in the examples of ARM's reference."""

from __future__ import annotations

#: Client number of every documented example.
CLIENT_NO = 2218

#: ``GET one customer``.
CUSTOMER = """\
{"clientNo":2218,"accountNo":500002,"customerNo":"543210","name":"Owe Armstrong","postalReturnStatus":100,\
"postalReturnDate":"2025-01-10","customerCategory":"CONS","phoneNo":"99887766","secondaryPhoneNo":"99775533",\
"organizationNo":"984842252","organizationNoScheme":"0192","dateOfBirth":"1999-01-01","yearOfBirth":1999,\
"ssn":"01019921717","ssnCountry":"NO","informalName":"Oa","customerGroupCode":"VIP","priceNetOrGross":"B",\
"language":"no","usingLanguage":"no","currency":"NOK","sellerReference":"VAA","buyerReference":"OA",\
"bankAccountNo":"81501757329","stopReminderUntil":"2026-12-31","stopDebtCollectionUntil":"2026-12-31",\
"stopInterestCalcUntil":"2026-12-31","dueDays":10,"vatLiable":true,"discountRate":10,"activeStatusWeb":"Passive",\
"customerMessage":"Keep it up!","limitAmount":2000,"registrationStatusCode":"FICTITIOUS",\
"registrationStatusDate":"2025-03-06","postalAddressChanged":"2014-11-13","postalAddress":\
{"addressLine1":"C/O ARMchair industries","addressLine2":"707 Arm street","addressLine3":"Appartment 8",\
"postalCode":"1234","cityName":"Oslo","countryText":"Norway","countryCode":"NO"},\
"emailAddressDocument":["amili@testarmrest.no"],"secondaryEmailAddress":["amili@testarmrest.no"],\
"distribution":{"type":"M","einvoiceCode":0},"efakturaBlockIds":["12345678","23456789","34567890"],\
"peppolBlockIds":["987654321","876543210","976543210"],"digipostBlockIds":["owe.armstrong#6UY","bill.lossius#8HM"]}"""

#: ``GET one AR item``. 500.63 of it is paid; the sandbox books that payment too, so that the totals agree.
AR_ITEM = """\
{"clientNo":2218,"accountNo":500002,"referenceNo":35078,"referenceSequenceNo":0,"arItemId":"2218-500002-35078-0",\
"customerNo":"543210","documentNo":"88776655","voucherDate":"2025-02-27","dueDate":"2025-04-01",\
"originalDueDate":"2025-03-13","currency":"NOK","currencyAmount":625,"currencyBalance":124.37,"glAmount":625,\
"glBalance":124.37,"kid":"500221850000200350786","voucherType":3,"voucherTypeDescription":"Invoice",\
"voucherNo":57869,"transactionText":"Invoice","glCaseNo":1165723,"glLotNo":6852398,"glYear":2025,"glPeriod":2,\
"externalId1":"9Pb3bfEjKr2iFPxKNIGHhB","ledgerPeriodReportNo":2564,"reservedStatus":"",\
"createdTime":"2025-02-27T17:03:36.176+01:00"}"""

#: Payment that explains the documented balance. It is not in the reference.
PAYMENT = """\
{"clientNo":2218,"accountNo":500002,"referenceNo":35078,"referenceSequenceNo":1,"arItemId":"2218-500002-35078-1",\
"customerNo":"543210","documentNo":"","voucherDate":"2025-03-10","dueDate":"2025-03-10",\
"originalDueDate":"2025-03-10","currency":"NOK","currencyAmount":-500.63,"currencyBalance":0,"glAmount":-500.63,\
"glBalance":0,"kid":"500221850000200350786","voucherType":1,"voucherTypeDescription":"Payment",\
"voucherNo":57870,"transactionText":"Payment","glCaseNo":1165724,"glLotNo":6852399,"glYear":2025,"glPeriod":3,\
"externalId1":"3Tq0vYb1Lw8nDkZxC5mAeR","ledgerPeriodReportNo":2564,"reservedStatus":"",\
"createdTime":"2025-03-10T09:12:05.250+01:00"}"""
