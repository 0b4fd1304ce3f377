"""The statements that a program sends to its database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

Statement = tuple[str, Any]


@contextmanager
def recorded(engine: Engine | type[Engine]) -> Iterator[list[Statement]]:
    """The statements sent meanwhile, by one engine or, for the class, by all."""
    statements: list[Statement] = []

    def sent(_conn: object, _cursor: object, statement: str, values: Any, _context: object, many: bool) -> None:
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            statements.append((statement, values[0] if many else values))

    event.listen(engine, "before_cursor_execute", sent)
    yield statements
    event.remove(engine, "before_cursor_execute", sent)
