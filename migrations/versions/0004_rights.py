"""consents, devices, counters of tries; sessions get a public id and a device, erased users a date."""

import sqlalchemy as sa
from alembic import op
from ulid import ULID

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _append_only(table: str) -> None:
    """What was agreed to is history: the database itself refuses to edit it."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION anxin_append_only()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _name_sessions() -> None:
    """Sessions from before have no public id yet."""
    sessions = sa.table("sessions", sa.column("id"), sa.column("public_id"))
    for row in op.get_bind().execute(sa.select(sessions.c.id)).all():
        named = sa.update(sessions).where(sessions.c.id == row.id).values(public_id=f"ses_{ULID()}")
        op.get_bind().execute(named)


def upgrade() -> None:
    op.create_table(
        "consents",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("act", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_consents_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
        sa.UniqueConstraint("user_id", "purpose", "number", name=op.f("uq_consents_user_id_purpose_number")),
    )
    _append_only("consents")
    op.create_table(
        "devices",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("device_key", sa.String(length=64), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_devices_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
        sa.UniqueConstraint("user_id", "device_key", name=op.f("uq_devices_user_id_device_key")),
    )
    op.create_table(
        "rate_counters",
        sa.Column("bucket", sa.String(length=64), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "window_start", name=op.f("pk_rate_counters")),
    )
    op.create_index(op.f("ix_rate_counters_ends_at"), "rate_counters", ["ends_at"], unique=False)
    op.add_column("users", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    erased = sa.text("erased_at IS NOT NULL")
    op.create_index(
        "ix_users_erased_at", "users", ["erased_at"], postgresql_where=erased, sqlite_where=erased
    )
    op.add_column("sessions", sa.Column("public_id", sa.String(length=32), nullable=True))
    _name_sessions()
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.alter_column("public_id", existing_type=sa.String(length=32), nullable=False)
        batch_op.create_unique_constraint(op.f("uq_sessions_public_id"), ["public_id"])
        batch_op.add_column(sa.Column("device_id", sa.String(length=32), nullable=True))
        batch_op.create_index(op.f("ix_sessions_expires_at"), ["expires_at"], unique=False)
        batch_op.create_foreign_key(op.f("fk_sessions_device_id"), "devices", ["device_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("fk_sessions_device_id"), type_="foreignkey")
        batch_op.drop_index(op.f("ix_sessions_expires_at"))
        batch_op.drop_column("device_id")
        batch_op.drop_constraint(op.f("uq_sessions_public_id"), type_="unique")
        batch_op.drop_column("public_id")
    op.drop_index("ix_users_erased_at", "users")
    op.drop_column("users", "erased_at")
    op.drop_index(op.f("ix_rate_counters_ends_at"), table_name="rate_counters")
    op.drop_table("rate_counters")
    op.drop_table("devices")
    op.drop_table("consents")
