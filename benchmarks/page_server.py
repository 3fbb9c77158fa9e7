"""Server of one list of AR items for benchmarks. Its pages are prepared, so that only the client is measured.

The benchmarks start it as a process. It answers requests for ``pageno=N`` and for a token.
"""

from __future__ import annotations

import os
import random
import re
import socket
import sys
import tempfile
import threading
import time
from decimal import Decimal

import msgspec

PAGE_SIZE = 1000
TOKEN = b'{"access_token":"t","token_type":"Bearer","expires_in":86400}'

_encode = msgspec.json.Encoder(decimal_format="number").encode
_page_number = re.compile(rb"[?&]pageno=(\d+)")


def item(number: int, rng: random.Random) -> dict[str, object]:
    """Return an AR item with the documented fields."""
    amount = Decimal(rng.randrange(-(10**8), 10**8)).scaleb(-2) if number % 3 else rng.randrange(100_000)
    balance = Decimal(rng.randrange(10**8)).scaleb(-2)
    day = f"2025-{1 + number % 12:02d}-{1 + number % 28:02d}"
    return {
        "clientNo": 2218,
        "accountNo": 500_000 + number % 9973,
        "referenceNo": number,
        "referenceSequenceNo": 0,
        "arItemId": f"2218-{500_000 + number % 9973}-{number:08d}-0",
        "customerNo": str(540_000 + number % 9973),
        "documentNo": str(88_000_000 + number),
        "voucherDate": day,
        "dueDate": day,
        "originalDueDate": day,
        "currency": "EUR" if number % 4 == 0 else "NOK",
        "currencyAmount": amount,
        "currencyBalance": balance,
        "glAmount": amount,
        "glBalance": balance,
        "kid": f"50022{number:016d}",
        "voucherType": 3,
        "voucherTypeDescription": "Invoice",
        "voucherNo": 57_869 + number,
        "transactionText": "Faktura for strøm og nettleie",
        "glCaseNo": 1_165_723 + number,
        "glLotNo": 6_852_398,
        "glYear": 2025,
        "glPeriod": 1 + number % 12,
        "externalId1": f"{rng.randrange(16**22):022x}",
        "ledgerPeriodReportNo": 2564,
        "reservedStatus": "",
        "createdTime": f"{day}T17:03:36.{number % 1000:03d}+0{1 + (number % 12 in range(3, 10))}:00",
    }


class Pages:
    """All responses, in a temporary file."""

    def __init__(self, items: int) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - it is open as long as the process runs
        self.ranges: list[tuple[int, int]] = []
        total, rng, start = -(-items // PAGE_SIZE), random.Random(7), 0
        for page in range(total):
            records = [item(n, rng) for n in range(page * PAGE_SIZE, min((page + 1) * PAGE_SIZE, items))]
            summary = {
                "pageNo": page + 1,
                "currentPageSize": len(records),
                "pageSizeLimit": PAGE_SIZE,
                "totalPages": total,
                "totalCount": items,
                "maximumCount": 10**9,
                "nextPage": None,
                "queryId": "q",
            }
            response = head(body := _encode({"summary": summary, "arItems": records})) + body
            self.file.write(response)
            self.ranges.append((start, len(response)))
            start += len(response)
        self.file.flush()


def head(body: bytes) -> bytes:
    """Return the head of a response."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)


def serve(connection: socket.socket, pages: Pages, latency: float) -> None:
    """Answer the requests of one connection until it is closed."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    while chunk := connection.recv(65_536):
        received += chunk
        if b"\r\n\r\n" not in received:
            continue
        line, received = received.split(b"\r\n", 1)[0], b""
        if latency:
            time.sleep(latency)
        if line.startswith(b"POST"):
            connection.sendall(head(TOKEN) + TOKEN)
            continue
        found = _page_number.search(line)
        start, size = pages.ranges[int(found[1]) - 1 if found else 0]
        end = start + size
        while start < end:
            start += os.sendfile(connection.fileno(), pages.file.fileno(), start, end - start)


def listen(pages: Pages, latency: float) -> int:
    """Serve the pages on a new port, and return it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, pages, latency), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def main() -> None:
    """Run ``ITEMS LATENCY...``: print one port per latency (in seconds), and serve until killed."""
    pages = Pages(int(sys.argv[1]))
    print(*(listen(pages, float(latency)) for latency in sys.argv[2:]), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
