"""SQLite store: every record is stored as the JSON text that ARM returns.

A record is never updated in place. A change adds a new row and sets ``live`` of the old row to 0, so that a query whose
pages are being read still finds its rows (row 11 of the working contract).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: The file in the state folder; further client numbers have files of their own.
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
    failed INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL, polls INTEGER NOT NULL DEFAULT 0,
    payload BLOB NOT NULL, pending BLOB NOT NULL, results BLOB);
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
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

#: Created separately, because a million rows are inserted faster without indexes.
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

#: Table -> its columns other than id, pos, live and body.
COLUMNS = {
    "customer": ("customer_no", "account_no", "name", "organization_no"),
    "ar_item": (
        *("ar_item_id", "customer_no", "document_no", "kid", "voucher_day", "due_day", "created_ms", "gl_month"),
        "open",
    ),
    "document": ("document_no", "customer_no", "document_day"),
}

_ALL_TABLES = ("customer", "ar_item", "document", "batch", "effect", "request", "sequence", "setting")

#: Large enough for the indexes of a large ledger; SQLite reads a negative number as KiB.
_CACHE_SIZE = -64 * 1024

Row = tuple[Any, ...]


class Store:
    """SQLite connection, used under the core's lock. Its file is in *folder*; ``None``: it is in memory."""

    def __init__(self, folder: Path | None = None, file_name: str = FILE_NAME) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        path = ":memory:" if folder is None else str(folder / file_name)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, cached_statements=256)
        self._db.execute(f"PRAGMA cache_size = {_CACHE_SIZE}")
        self._has_file = folder is not None
        if self._has_file:
            # A killed sandbox keeps every completed request; only a power failure can lose some.
            self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_TABLES)
        self.create_indexes()
        self._last_numbers: dict[str, int] = dict(self._db.execute("SELECT name, value FROM sequence"))
        self._changed_series: set[str] = set()

    def enable_write_ahead_log(self) -> None:
        """Enable SQLite's write-ahead log, for the small writes that follow the initial load.

        With the log enabled from the start, a million items would be on disk twice until the log's checkpoint.
        """
        if self._has_file:
            self._db.execute("PRAGMA journal_mode = WAL")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in a transaction: all of its writes are committed, or none. A nested block joins it."""
        if self._db.in_transaction:
            yield
            return
        before = dict(self._last_numbers)
        self._db.execute("BEGIN")
        try:
            yield
            self._write_sequences()
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            self._last_numbers, self._changed_series = before, set()
            raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Run the block in a savepoint: if it raises, only its own writes are rolled back, not the transaction."""
        before = dict(self._last_numbers)
        self._db.execute("SAVEPOINT block")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO block")
            self._last_numbers = before
            raise
        finally:
            self._db.execute("RELEASE block")

    def fetch_all(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a query."""
        return self._db.execute(sql, values).fetchall()

    def fetch_one(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """Return the first row of a query, or ``None`` if it has none."""
        row: Row | None = self._db.execute(sql, values).fetchone()
        return row

    def find_body(self, table: str, column: str, value: str) -> bytes | None:
        """Return the JSON text of the first live record with this value, or ``None`` if there is none."""
        sql = f"SELECT body FROM {table} WHERE {column} = ? AND live = 1 ORDER BY pos LIMIT 1"  # noqa: S608 - our own names
        row = self.fetch_one(sql, (value,))
        return None if row is None else bytes(row[0])

    def count(self, table: str, where: str = "1 = 1", values: Sequence[Any] = ()) -> int:
        """Return the number of rows."""
        row = self.fetch_one(f"SELECT count(*) FROM {table} WHERE {where}", values)  # noqa: S608 - our own names
        return int(row[0]) if row else 0

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Execute a statement that returns no rows."""
        self._db.execute(sql, values)

    def next_number(self, name: str, start: int = 1) -> int:
        """Return the next number of a series; the first is *start*."""
        value = self._last_numbers.get(name, start - 1) + 1
        self.set_last_number(name, value)
        return value

    def set_last_number(self, name: str, last_used: int) -> None:
        """Set the last used number of a series; the next number follows it."""
        self._last_numbers[name] = last_used
        self._changed_series.add(name)

    def get_setting(self, name: str) -> str | None:
        """Return a stored setting, such as the seed options of this file, or ``None`` if it is not stored."""
        row = self.fetch_one("SELECT value FROM setting WHERE name = ?", (name,))
        return None if row is None else str(row[0])

    def set_setting(self, name: str, value: str) -> None:
        """Store a setting."""
        self.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))

    def add(self, table: str, body: bytes, values: Sequence[Any], pos: int | None = None) -> int:
        """Insert a record, and return its position in the list.

        :param values: of the table's ``COLUMNS``.
        :param pos: position in the list; ``None``: the end.
        """
        columns = COLUMNS[table]
        position = self.next_number(f"{table}_pos") if pos is None else pos
        marks = ", ".join("?" * (len(columns) + 2))
        sql = f"INSERT INTO {table} ({', '.join(columns)}, pos, body) VALUES ({marks})"  # noqa: S608 - our own names
        self._db.execute(sql, (*values, position, body))
        return position

    def add_many(self, table: str, rows: Iterable[Row]) -> None:
        """Insert many records; each row has the values of the table's ``COLUMNS``, then pos, then body."""
        columns = COLUMNS[table]
        marks = ", ".join("?" * (len(columns) + 2))
        self._db.executemany(f"INSERT INTO {table} ({', '.join(columns)}, pos, body) VALUES ({marks})", rows)  # noqa: S608

    def deactivate(self, table: str, row_id: int) -> None:
        """Mark a row as no longer live; stored queries that contain it still find it."""
        self._db.execute(f"UPDATE {table} SET live = 0 WHERE id = ?", (row_id,))  # noqa: S608

    def bodies(self, table: str, ids: Sequence[int]) -> list[bytes]:
        """Return the JSON texts of the rows *ids*, in that order."""
        if not ids:
            return []
        id_list = ",".join(map(str, ids))
        by_id = dict(self._db.execute(f"SELECT id, body FROM {table} WHERE id IN ({id_list})"))  # noqa: S608
        return [by_id[row_id] for row_id in ids if row_id in by_id]

    def clear(self) -> None:
        """Delete all rows of every table."""
        for table in _ALL_TABLES:
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608
        self._last_numbers.clear()
        self._changed_series.clear()

    def drop_indexes(self) -> None:
        """Drop the indexes, before a bulk load."""
        for name in _INDEXES:
            self._db.execute(f"DROP INDEX IF EXISTS {name}")

    def create_indexes(self) -> None:
        """Create the indexes that do not exist, at the start and after a bulk load."""
        for name, definition in _INDEXES.items():
            self._db.execute("CREATE " + definition.format(f"IF NOT EXISTS {name}"))

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _write_sequences(self) -> None:
        if self._changed_series:
            self._db.executemany(
                "INSERT OR REPLACE INTO sequence VALUES (?, ?)",
                [(name, self._last_numbers[name]) for name in sorted(self._changed_series)],
            )
            self._changed_series.clear()
