"""Converted models: which file an evaluation ran, how fast, from what a model was made, and who may run on CPU slots.

Revision: 0004, after 0003. Adds columns that may be null or have a default; an engine that leaves no logits, as the
C++ program's with an argmax head, measures no loss.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS = (
    ("job", sa.Column("allow_cpu", sa.Boolean(), nullable=False, server_default=sa.false())),
    ("artifact", sa.Column("made_from", sa.Text(), nullable=True)),
    ("evaluation", sa.Column("model_sha256", sa.Text(), nullable=True)),
    ("evaluation", sa.Column("images_per_second", sa.Float(), nullable=True)),
)


def _let_loss_be_null(nullable: bool) -> None:
    # SQLite makes the table anew for that, and must be told what Alembic does not read of it.
    with op.batch_alter_table("evaluation", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.alter_column("mean_loss", existing_type=sa.Float(), existing_nullable=not nullable, nullable=nullable)


def upgrade() -> None:
    for table, column in COLUMNS:
        op.add_column(table, column)
    _let_loss_be_null(True)


def downgrade() -> None:
    op.execute("DELETE FROM evaluation WHERE mean_loss IS NULL")
    _let_loss_be_null(False)
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column.name)
