"""Converted models: which file an evaluation ran, how fast, from what a model was made, who may run on CPU slots.

Revision: 0004, after 0003. Adds columns that may be null or have a default (a host of which nobody said otherwise has
the C++ program); an engine that leaves no logits, as the
C++ program's with an argmax head, measures no loss. Comparisons are of the networks themselves, so their indices leave
converted models out; a model is found by its hash. The way back drops evaluations of converted models, which an older
program would take for the networks'.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS = (
    ("job", sa.Column("allow_cpu", sa.Boolean(), nullable=False, server_default=sa.false())),
    ("host", sa.Column("infers_310", sa.Boolean(), nullable=False, server_default=sa.true())),
    ("artifact", sa.Column("made_from", sa.Text(), nullable=True)),
    ("evaluation", sa.Column("model_sha256", sa.Text(), nullable=True)),
    ("evaluation", sa.Column("images_per_second", sa.Float(), nullable=True)),
)
GROUP = ("split", "dataset_hash", "protocol", "height", "width")
COMPARED = {
    **{f"ix_evaluation_by_{last}": (*GROUP, last, "id") for last in ("mean_iou", "mean_iou_19", "pixel_accuracy")},
    "ix_evaluation_by_mean_loss": (*GROUP, "mean_loss", "id"),
    "ix_evaluation_newest": (*GROUP, "id"),
}


@contextmanager
def _sequence_kept() -> Iterator[None]:
    """SQLite counts a table that is made anew from its rows, and the id of a deleted one would come back."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        yield
        return
    newest = connection.scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'evaluation'"))
    yield
    op.execute("DELETE FROM sqlite_sequence WHERE name = 'evaluation'")
    if newest is not None:
        connection.execute(sa.text("INSERT INTO sqlite_sequence VALUES ('evaluation', :newest)"), {"newest": newest})


def _let_loss_be_null(nullable: bool) -> None:
    # SQLite makes the table anew for that, and must be told what Alembic does not read of it.
    with _sequence_kept(), op.batch_alter_table("evaluation", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.alter_column("mean_loss", existing_type=sa.Float(), existing_nullable=not nullable, nullable=nullable)


def _compare(condition: sa.TextClause | None) -> None:
    for name, columns in COMPARED.items():
        op.drop_index(name, "evaluation")
        op.create_index(name, "evaluation", columns, sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    for table, column in COLUMNS:
        op.add_column(table, column)
    _let_loss_be_null(True)
    _compare(sa.text("model_sha256 IS NULL"))
    op.create_index("ix_artifact_sha256", "artifact", ["sha256"])


def downgrade() -> None:
    op.execute("DELETE FROM evaluation WHERE model_sha256 IS NOT NULL OR mean_loss IS NULL")
    op.drop_index("ix_artifact_sha256", "artifact")
    _compare(None)
    _let_loss_be_null(False)
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column.name)
