"""How a head moved in a film of a face check, sealed: a film that was encoded anew is known again."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "motion_traces",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("challenge_id", sa.String(length=32), nullable=False),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_motion_traces_user_id")),
        sa.PrimaryKeyConstraint("user_id", "challenge_id", name=op.f("pk_motion_traces")),
    )
    op.create_index(op.f("ix_motion_traces_at"), "motion_traces", ["at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_motion_traces_at"), "motion_traces")
    op.drop_table("motion_traces")
