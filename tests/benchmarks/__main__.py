"""`python -m tests.benchmarks [NAME ...]`: run all bench_*.py here, or the named ones, and print their figures."""

import sys
from importlib import import_module
from pathlib import Path

from erfnet_jobs.cli.output import Column, table
from tests.benchmarks.rows import Row

COLUMNS = (
    Column("what", lambda row: row["name"]),
    Column("measured", lambda row: f"{row['value']:.4g} {row['unit']}", right=True),
    Column("against", lambda row: row["ratio_to"]),
    Column("aim", lambda row: row["aim"]),
)


def main(names: list[str]) -> None:
    """Run them one after another: two at once would measure each other."""
    found = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    chosen = [name for name in found if not names or name.removeprefix("bench_") in names]
    if not chosen:
        sys.exit(f"no benchmark is called {', '.join(names)}: there are {', '.join(found)}")
    rows: list[Row] = []
    for name in chosen:
        print(f"{name} ...", file=sys.stderr, flush=True)  # noqa: T201 - a script
        rows += import_module(f"tests.benchmarks.{name}").run()
    documents = [vars(row) for row in rows]
    print("\n".join(table(documents, COLUMNS, 400)))  # noqa: T201 - a script


if __name__ == "__main__":
    main(sys.argv[1:])
