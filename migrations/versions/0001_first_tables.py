"""The first tables.

Revision: 0001, after none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "host",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("storage_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("drained", sa.Boolean(), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("registered_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("stopped_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_host"),
    )
    op.create_table(
        "identity",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identity"),
    )
    op.create_table(
        "job_group",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job_group"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "device",
        sa.Column("host_name", sa.Text(), nullable=False),
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("generation", sa.Text(), nullable=True),
        sa.Column("health", sa.Text(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("cordoned", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["host_name"], ["host.name"], name="fk_device_host_name"),
        sa.PrimaryKeyConstraint("host_name", "id", name="pk_device"),
    )
    op.create_table(
        "job",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("group_id", ID, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("cards", sa.BigInteger(), nullable=False),
        sa.Column("max_attempts", sa.BigInteger(), nullable=False),
        sa.Column("host_name", sa.Text(), nullable=True),
        sa.Column("devices", sa.Text(), nullable=True),
        sa.Column("storage_id", sa.Text(), nullable=True),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.Column("user_host", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("placed_on", sa.Text(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("phase", sa.Text(), nullable=True),
        sa.Column("fraction", sa.Float(), nullable=True),
        sa.Column("stage", sa.BigInteger(), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=True),
        sa.Column("epochs", sa.BigInteger(), nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("steps", sa.BigInteger(), nullable=True),
        sa.Column("loss", sa.Float(), nullable=True),
        sa.Column("images_per_second", sa.Float(), nullable=True),
        sa.Column("eta_seconds", sa.Float(), nullable=True),
        sa.Column("mean_iou", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["group_id"], ["job_group.id"], name="fk_job_group_id"),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_group_id", "job", ["group_id"])
    op.create_index("ix_job_queue", "job", ["state", sa.text("priority DESC"), "id"])
    op.create_index("ix_job_state_id", "job", ["state", "id"])
    op.create_table(
        "attempt",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("run_dir", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("permanent", sa.Boolean(), nullable=False),
        sa.Column("failed_rank", sa.BigInteger(), nullable=True),
        sa.Column("exit_code", sa.BigInteger(), nullable=True),
        sa.Column("signal", sa.BigInteger(), nullable=True),
        sa.Column("last_lines", sa.Text(), nullable=True),
        sa.Column("scheduler_host", sa.Text(), nullable=True),
        sa.Column("scheduler_port", sa.BigInteger(), nullable=True),
        sa.Column("resumed_from", sa.BigInteger(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_attempt_job_id"),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_attempt"),
    )
    op.create_table(
        "checkpoint",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("job_id", ID, nullable=True),
        sa.Column("attempt", sa.BigInteger(), nullable=True),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("stage", sa.BigInteger(), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("removed_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_checkpoint_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_checkpoint"),
        sa.UniqueConstraint("job_id", "attempt", "path", name="uq_checkpoint_job_id_attempt_path"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_checkpoint_path", "checkpoint", ["path"])
    op.create_table(
        "event",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("job_id", ID, nullable=True),
        sa.Column("attempt", sa.BigInteger(), nullable=True),
        sa.Column("host_name", sa.Text(), nullable=True),
        sa.Column("user_name", sa.Text(), nullable=True),
        sa.Column("user_host", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_event_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_event_host_name_id", "event", ["host_name", "id"])
    op.create_index("ix_event_job_id_id", "event", ["job_id", "id"])
    op.create_table(
        "job_dependency",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("needs_job_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_job_dependency_job_id"),
        sa.ForeignKeyConstraint(["needs_job_id"], ["job.id"], name="fk_job_dependency_needs_job_id"),
        sa.PrimaryKeyConstraint("job_id", "needs_job_id", name="pk_job_dependency"),
    )
    op.create_index("ix_job_dependency_needs_job_id", "job_dependency", ["needs_job_id"])
    op.create_table(
        "metric",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_metric_job_id"),
        sa.PrimaryKeyConstraint("job_id", "name", "attempt", "stage", "step", name="pk_metric"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "artifact",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("checkpoint_id", ID, nullable=True),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["checkpoint_id"], ["checkpoint.id"], name="fk_artifact_checkpoint_id"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_artifact_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_artifact"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_artifact_checkpoint_id", "artifact", ["checkpoint_id"])
    op.create_index("ix_artifact_job_id", "artifact", ["job_id"])
    op.create_table(
        "evaluation",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("checkpoint_id", ID, nullable=True),
        sa.Column("checkpoint_path", sa.Text(), nullable=False),
        sa.Column("dataset_hash", sa.Text(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("images", sa.BigInteger(), nullable=False),
        sa.Column("mean_iou", sa.Float(), nullable=False),
        sa.Column("mean_iou_19", sa.Float(), nullable=False),
        sa.Column("pixel_accuracy", sa.Float(), nullable=False),
        sa.Column("mean_loss", sa.Float(), nullable=False),
        sa.Column("iou_class", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["checkpoint_id"], ["checkpoint.id"], name="fk_evaluation_checkpoint_id"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_evaluation_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_evaluation"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_evaluation_by_mean_iou",
        "evaluation",
        ["split", "dataset_hash", "protocol", "height", "width", "mean_iou", "id"],
    )
    op.create_index(
        "ix_evaluation_by_mean_iou_19",
        "evaluation",
        ["split", "dataset_hash", "protocol", "height", "width", "mean_iou_19", "id"],
    )
    op.create_index(
        "ix_evaluation_by_mean_loss",
        "evaluation",
        ["split", "dataset_hash", "protocol", "height", "width", "mean_loss", "id"],
    )
    op.create_index(
        "ix_evaluation_by_pixel_accuracy",
        "evaluation",
        ["split", "dataset_hash", "protocol", "height", "width", "pixel_accuracy", "id"],
    )
    op.create_index("ix_evaluation_checkpoint_id", "evaluation", ["checkpoint_id"])
    op.create_index("ix_evaluation_job_id", "evaluation", ["job_id"])
    op.create_index(
        "ix_evaluation_newest", "evaluation", ["split", "dataset_hash", "protocol", "height", "width", "id"]
    )
    op.create_table(
        "lease",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("host_name", sa.Text(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id", "attempt"], ["attempt.job_id", "attempt.number"], name="fk_lease_job_id_attempt"
        ),
        sa.PrimaryKeyConstraint("job_id", "attempt", "host_name", name="pk_lease"),
    )
    op.create_table(
        "log_tail",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("host_name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("log_bytes", sa.BigInteger(), nullable=False),
        sa.Column("report_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id", "attempt"], ["attempt.job_id", "attempt.number"], name="fk_log_tail_job_id_attempt"
        ),
        sa.PrimaryKeyConstraint("job_id", "attempt", "rank", name="pk_log_tail"),
    )
    op.create_table(
        "placement",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("host_name", sa.Text(), nullable=False),
        sa.Column("devices", sa.Text(), nullable=False),
        sa.Column("first_rank", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["host_name"], ["host.name"], name="fk_placement_host_name"),
        sa.ForeignKeyConstraint(
            ["job_id", "attempt"], ["attempt.job_id", "attempt.number"], name="fk_placement_job_id_attempt"
        ),
        sa.PrimaryKeyConstraint("job_id", "attempt", "host_name", name="pk_placement"),
    )
    op.create_index("ix_placement_state_host_name", "placement", ["state", "host_name"])


def downgrade() -> None:
    op.drop_table("placement")
    op.drop_table("log_tail")
    op.drop_table("lease")
    op.drop_table("evaluation")
    op.drop_table("artifact")
    op.drop_table("metric")
    op.drop_table("job_dependency")
    op.drop_table("event")
    op.drop_table("checkpoint")
    op.drop_table("attempt")
    op.drop_table("job")
    op.drop_table("device")
    op.drop_table("job_group")
    op.drop_table("identity")
    op.drop_table("host")
