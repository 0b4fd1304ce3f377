"""All rows of a registry into another, empty one, whichever databases the two are in: streamed, and compared after."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select, text

from erfnet_jobs.errors import ErfnetJobsError, UsageError
from erfnet_jobs.registry.tables import Base, Event, RegistryIdentity

# Parents before those that refer to them.
TABLES: Sequence[Table] = Base.metadata.sorted_tables
# Rows held in memory at once.
BATCH = 2_000
MASK = (1 << 128) - 1

Told = Callable[[int, int], None]


@dataclass
class Checksum:
    """Of a table's rows in any order: how many, and the sum of their hashes modulo 2^128."""

    rows: int = 0
    total: int = 0

    def add(self, row: Sequence[Any]) -> None:
        """Take one row, as Python values, which are the same from every database."""
        digest = blake2b(repr(tuple(row)).encode(errors="surrogatepass"), digest_size=16).digest()
        self.rows += 1
        self.total = (self.total + int.from_bytes(digest)) & MASK


def check_empty(connection: Connection, shown: str) -> None:
    """Raise UsageError for a registry that holds more than its own name and the events of its upgrades."""
    filled = [
        table.name
        for table in TABLES
        if table.name not in (RegistryIdentity.__tablename__, Event.__tablename__)
        and connection.execute(select(table).limit(1)).first() is not None
    ]
    if filled:
        raise UsageError(
            f"{shown} is no empty registry (it has rows in {', '.join(filled)}), and nothing is ever overwritten: give "
            "an empty database, or move that one away"
        )


def copy_all(source: Connection, target: Connection, told: Told) -> dict[str, int]:
    """Replace what an empty target holds by the source's rows; how many of each table.

    Both are in a transaction. The ids of rows to come follow the highest that the source ever gave. `told` gets rows
    written or compared so far, and in all. Raises ErfnetJobsError where the target's rows are not those of the source.
    """
    counts = {table.name: source.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES}
    step = _Steps(2 * sum(counts.values()), told)
    for mapped in (Event, RegistryIdentity):
        target.execute(delete(mapped))
    sums = {table.name: _copy(table, source, target, step) for table in TABLES}
    continue_ids(target, highest_ids(source))
    for table in TABLES:
        _compare(table, sums[table.name], target, step)
    return {name: found.rows for name, found in sums.items()}


class _Steps:
    def __init__(self, total: int, told: Told) -> None:
        self._done = 0
        self._total = total
        self._told = told

    def __call__(self, rows: int) -> None:
        # Rows that came since they were counted are no reason to go beyond the end.
        self._done = min(self._done + rows, self._total)
        self._told(self._done, self._total)


def _copy(table: Table, source: Connection, target: Connection, step: _Steps) -> Checksum:
    found = Checksum()
    for batch in _batches(table, source):
        for row in batch:
            found.add(row)
        names = table.columns.keys()
        target.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in batch])
        step(len(batch))
    return found


def _compare(table: Table, expected: Checksum, target: Connection, step: _Steps) -> None:
    found = Checksum()
    for batch in _batches(table, target):
        for row in batch:
            found.add(row)
        step(len(batch))
    if found != expected:
        raise ErfnetJobsError(
            f"the {found.rows} rows of {table.name} are not the {expected.rows} that were copied: nothing was kept; "
            "try again, and report it if it comes again"
        )


def _batches(table: Table, connection: Connection) -> Iterator[Sequence[Sequence[Any]]]:
    rows = connection.execute(select(table), execution_options={"yield_per": BATCH})
    yield from rows.partitions()


def numbered() -> list[str]:
    """The tables whose ids the database gives."""
    return [table.name for table in TABLES if any(column.identity for column in table.columns)]


def highest_ids(connection: Connection) -> dict[str, int]:
    """The highest id ever given in each table that numbers its rows, whether its row is still there or not; 0: none."""
    if connection.dialect.name == "sqlite":
        there = dict(connection.execute(text("SELECT name, seq FROM sqlite_sequence")).tuples().all())
        return {name: there.get(name, 0) for name in numbered()}
    last = text("SELECT pg_sequence_last_value(pg_get_serial_sequence(:name, 'id')::regclass)")
    return {name: connection.execute(last, {"name": name}).scalar_one() or 0 for name in numbered()}


def continue_ids(connection: Connection, highest: Mapping[str, int]) -> None:
    """Let ids go on after those in `highest`, never before; PostgreSQL does so though the transaction be undone."""
    for name, number in highest.items():
        if number <= highest_ids(connection)[name]:
            continue
        values = {"name": name, "number": number}
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :number)"), values)
        else:
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :number)"), values)
