"""What trainings, exports, imports and evaluations say of themselves beyond the first tables.

Revision: 0002, after 0001. Adds columns that may be null, so rows of older programs stay as they are; the evaluations'
protocols get the names that `--protocol` has.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = (
    ("job", sa.Column("lr", sa.Float(), nullable=True)),
    ("checkpoint", sa.Column("source", sa.Text(), nullable=True)),
    ("artifact", sa.Column("difference", sa.Float(), nullable=True)),
    ("evaluation", sa.Column("mean_iou_category", sa.Float(), nullable=True)),
    ("evaluation", sa.Column("iou_category", sa.Text(), nullable=True)),
)
PROTOCOLS = (("erfnet", "half"), ("encoder-1/8", "encoder-half"))


def _rename_protocols(names: tuple[tuple[str, str], ...]) -> None:
    for before, after in names:
        op.execute(
            sa.text("UPDATE evaluation SET protocol = :after WHERE protocol = :before").bindparams(
                before=before, after=after
            )
        )


def upgrade() -> None:
    for table, column in COLUMNS:
        op.add_column(table, column)
    _rename_protocols(PROTOCOLS)


def downgrade() -> None:
    _rename_protocols(tuple((after, before) for before, after in PROTOCOLS))
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column.name)
