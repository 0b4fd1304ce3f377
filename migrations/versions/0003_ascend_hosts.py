"""What Ascend hosts and their devices tell, summaries of hosts for the placement pass, time limits and rank tables.

Revision: 0003, after 0002. Adds columns that may be null or have a default, so rows of older programs stay as they are;
a host's summary is made anew when its worker starts.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = (
    ("job", sa.Column("time_limit", sa.Float(), nullable=True)),
    ("job", sa.Column("rank_table", sa.Text(), nullable=True)),
    ("job", sa.Column("pinned", sa.Text(), nullable=True)),
    ("host", sa.Column("family", sa.Text(), nullable=False, server_default="cpu")),
    ("host", sa.Column("present", sa.Text(), nullable=False, server_default="")),
    ("host", sa.Column("usable", sa.Text(), nullable=False, server_default="")),
    ("host", sa.Column("free", sa.Text(), nullable=False, server_default="")),
    ("host", sa.Column("second_half", sa.Text(), nullable=False, server_default="")),
    ("host", sa.Column("driver", sa.Text(), nullable=True)),
    ("host", sa.Column("cann", sa.Text(), nullable=True)),
    ("host", sa.Column("trouble", sa.Text(), nullable=True)),
    ("device", sa.Column("fit", sa.Boolean(), nullable=False, server_default=sa.true())),
    ("lease", sa.Column("beaten_at", sa.DateTime(timezone=True), nullable=True)),
    ("device", sa.Column("busy", sa.Text(), nullable=True)),
    ("device", sa.Column("error_code", sa.Text(), nullable=True)),
    ("device", sa.Column("npu_id", sa.Integer(), nullable=True)),
    ("device", sa.Column("chip_id", sa.Integer(), nullable=True)),
    ("device", sa.Column("physical_id", sa.Integer(), nullable=True)),
    ("device", sa.Column("device_ip", sa.Text(), nullable=True)),
    ("device", sa.Column("link", sa.Text(), nullable=True)),
    ("device", sa.Column("cores", sa.Text(), nullable=True)),
    ("device", sa.Column("memory", sa.BigInteger(), nullable=True)),
)


def upgrade() -> None:
    for table, column in COLUMNS:
        op.add_column(table, column)


def downgrade() -> None:
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column.name)
