"""SQLite under the sandbox: every record is kept as the JSON text that ARM would serve.

A record is never changed in place. A change writes a new row and takes ``live`` from the old one, so a query that
somebody is paging through still finds the rows that it saw (row 11 of the working contract).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: The file in the state folder.
FILE_NAME = "arm-sandbox.sqlite3"

_TABLES = """
CREATE TABLE IF NOT EXISTS customer (
    id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, live INTEGER NOT NULL DEFAULT 1,
    customer_no TEXT NOT NULL COLLATE NOCASE, account_no INTEGER NOT NULL, name TEXT NOT NULL COLLATE NOCASE,
    organization_no TEXT, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS ar_item (
    id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, live INTEGER NOT NULL DEFAULT 1,
    ar_item_id TEXT NOT NULL, customer_no TEXT NOT NULL COLLATE NOCASE, document_no TEXT COLLATE NOCASE, kid TEXT,
    voucher_day INTEGER, due_day INTEGER, created_ms INTEGER, gl_month INTEGER, open INTEGER NOT NULL,
    body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS document (
    id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, live INTEGER NOT NULL DEFAULT 1,
    document_no TEXT NOT NULL COLLATE NOCASE, customer_no TEXT NOT NULL COLLATE NOCASE, document_day INTEGER,
    body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS batch (
    uuid TEXT PRIMARY KEY, number INTEGER NOT NULL, resource TEXT NOT NULL, method TEXT NOT NULL,
    content_hash TEXT NOT NULL, request INTEGER NOT NULL, received_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL,
    processed_ms INTEGER, state TEXT NOT NULL, total INTEGER NOT NULL, processed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL, looks INTEGER NOT NULL DEFAULT 0,
    payload BLOB NOT NULL, pending BLOB NOT NULL, answers BLOB);
CREATE INDEX IF NOT EXISTS batch_waiting ON batch(due_ms) WHERE state = 'RECEIVED';
CREATE INDEX IF NOT EXISTS batch_content ON batch(content_hash);
CREATE TABLE IF NOT EXISTS effect (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, what TEXT NOT NULL, request INTEGER NOT NULL,
    at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS effect_key ON effect(kind, key);
CREATE TABLE IF NOT EXISTS request (
    n INTEGER PRIMARY KEY, at TEXT NOT NULL, method TEXT NOT NULL, template TEXT NOT NULL, path TEXT NOT NULL,
    query TEXT NOT NULL, status INTEGER, token TEXT NOT NULL, fault TEXT, bytes_in INTEGER NOT NULL,
    bytes_out INTEGER, user_agent TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sequence (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

#: Kept apart, because a million rows go in faster before these exist.
_INDEXES = {
    "customer_key": "UNIQUE INDEX {} ON customer(customer_no) WHERE live = 1",
    "customer_pos": "INDEX {} ON customer(pos) WHERE live = 1",
    "ar_item_key": "UNIQUE INDEX {} ON ar_item(ar_item_id) WHERE live = 1",
    "ar_item_pos": "INDEX {} ON ar_item(pos) WHERE live = 1",
    "ar_item_customer": "INDEX {} ON ar_item(customer_no) WHERE live = 1",
    "ar_item_document": "INDEX {} ON ar_item(document_no) WHERE live = 1",
    "ar_item_kid": "INDEX {} ON ar_item(kid) WHERE live = 1",
    "ar_item_voucher_day": "INDEX {} ON ar_item(voucher_day) WHERE live = 1",
    "ar_item_due_day": "INDEX {} ON ar_item(due_day) WHERE live = 1",
    "ar_item_created": "INDEX {} ON ar_item(created_ms) WHERE live = 1",
    "document_key": "INDEX {} ON document(document_no) WHERE live = 1",
    "document_pos": "INDEX {} ON document(pos) WHERE live = 1",
    "document_customer": "INDEX {} ON document(customer_no) WHERE live = 1",
}

#: Table -> its columns beside id, pos, live and body.
COLUMNS = {
    "customer": ("customer_no", "account_no", "name", "organization_no"),
    "ar_item": (
        "ar_item_id",
        "customer_no",
        "document_no",
        "kid",
        "voucher_day",
        "due_day",
        "created_ms",
        "gl_month",
        "open",
    ),
    "document": ("document_no", "customer_no", "document_day"),
}

_ALL_TABLES = ("customer", "ar_item", "document", "batch", "effect", "request", "sequence", "note")

#: Big enough to hold the indexes of a large ledger; negative means KiB to SQLite.
_CACHE = -64 * 1024

Row = tuple[Any, ...]


class Store:
    """One connection, used under the core's lock."""

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        place = ":memory:" if folder is None else str(folder / FILE_NAME)
        self._db = sqlite3.connect(place, check_same_thread=False, isolation_level=None, cached_statements=256)
        self._db.execute(f"PRAGMA cache_size = {_CACHE}")
        self._in_a_file = folder is not None
        if self._in_a_file:
            # A killed sandbox keeps every finished request; only a power cut could lose some.
            self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_TABLES)
        self.make_indexes()
        self._next: dict[str, int] = dict(self._db.execute("SELECT name, value FROM sequence"))
        self._changed: set[str] = set()

    def write_ahead(self) -> None:
        """Go over from the big write that fills a file to the many small ones of its life.

        With a write-ahead log from the start, a million items would lie on disk twice until the log is folded in.
        """
        if self._in_a_file:
            self._db.execute("PRAGMA journal_mode = WAL")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, or nothing."""
        if self._db.in_transaction:
            yield
            return
        before = dict(self._next)
        self._db.execute("BEGIN")
        try:
            yield
            self._write_sequences()
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            self._next, self._changed = before, set()
            raise

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Inside a transaction: what fails in here leaves nothing behind, and the rest goes on."""
        before = dict(self._next)
        self._db.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO attempt")
            self._next = before
            raise
        finally:
            self._db.execute("RELEASE attempt")

    def fetch_all(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        return self._db.execute(sql, values).fetchall()

    def fetch_one(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row, or ``None``."""
        found: Row | None = self._db.execute(sql, values).fetchone()
        return found

    def count(self, table: str, where: str = "1 = 1") -> int:
        """How many rows."""
        found = self.fetch_one(f"SELECT count(*) FROM {table} WHERE {where}")  # noqa: S608 - our own names
        return int(found[0]) if found else 0

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """A statement without rows."""
        self._db.execute(sql, values)

    def number(self, name: str, start: int = 1) -> int:
        """The next number of a series; the first is *start*."""
        value = self._next.get(name, start - 1) + 1
        self.move_series(name, value)
        return value

    def move_series(self, name: str, last_used: int) -> None:
        """Go on after *last_used*."""
        self._next[name] = last_used
        self._changed.add(name)

    def note(self, name: str) -> str | None:
        """A remembered text, such as the seed that filled this file."""
        row = self.fetch_one("SELECT value FROM note WHERE name = ?", (name,))
        return None if row is None else str(row[0])

    def set_note(self, name: str, value: str) -> None:
        """Remember a text."""
        self.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))

    def add(self, table: str, body: bytes, values: Sequence[Any], pos: int | None = None) -> int:
        """Write a record; gives its place in the list."""
        columns = COLUMNS[table]
        place = self.number(f"{table}_pos") if pos is None else pos
        marks = ", ".join("?" * (len(columns) + 2))
        sql = f"INSERT INTO {table} ({', '.join(columns)}, pos, body) VALUES ({marks})"  # noqa: S608 - our own names
        self._db.execute(sql, (*values, place, body))
        return place

    def add_many(self, table: str, rows: Iterable[Row]) -> None:
        """Write many records: the table's columns, then pos, then body."""
        columns = COLUMNS[table]
        marks = ", ".join("?" * (len(columns) + 2))
        self._db.executemany(f"INSERT INTO {table} ({', '.join(columns)}, pos, body) VALUES ({marks})", rows)  # noqa: S608

    def retire(self, table: str, row_id: int) -> None:
        """Take a record out of the living; queries that hold it still find it."""
        self._db.execute(f"UPDATE {table} SET live = 0 WHERE id = ?", (row_id,))  # noqa: S608

    def bodies(self, table: str, ids: Sequence[int]) -> list[bytes]:
        """The texts of the rows *ids*, in that order."""
        if not ids:
            return []
        wanted = ",".join(map(str, ids))
        found = dict(self._db.execute(f"SELECT id, body FROM {table} WHERE id IN ({wanted})"))  # noqa: S608
        return [found[row_id] for row_id in ids if row_id in found]

    def clear(self) -> None:
        """Empty every table."""
        for table in _ALL_TABLES:
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608
        self._next.clear()
        self._changed.clear()

    def drop_indexes(self) -> None:
        """Before a bulk load."""
        for name in _INDEXES:
            self._db.execute(f"DROP INDEX IF EXISTS {name}")

    def make_indexes(self) -> None:
        """After a bulk load, and at the start."""
        for name, definition in _INDEXES.items():
            self._db.execute("CREATE " + definition.format(f"IF NOT EXISTS {name}"))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _write_sequences(self) -> None:
        if self._changed:
            self._db.executemany(
                "INSERT OR REPLACE INTO sequence VALUES (?, ?)",
                [(name, self._next[name]) for name in sorted(self._changed)],
            )
            self._changed.clear()
