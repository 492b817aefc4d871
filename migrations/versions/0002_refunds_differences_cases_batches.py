"""refunds, differences, cases, batches."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


# Money of a difference belongs to no order, and work may be about a batch: `order_id` becomes `subject`.
OTHER_UNIQUE_COLUMNS = {"ledger_entries": ("", "_event_account"), "outbox": ("topic_", "")}


def _unique_name(table: str, column: str) -> str:
    before, after = OTHER_UNIQUE_COLUMNS[table]
    return f"uq_{table}_{before}{column}{after}"


def _name_subjects(table: str, old: str, new: str) -> None:
    columns = {"ledger_entries": [new, "event", "account"], "outbox": ["topic", new]}[table]
    with op.batch_alter_table(table) as batch_op:
        if old == "order_id":
            batch_op.drop_constraint(f"fk_{table}_order_id", type_="foreignkey")
        batch_op.drop_constraint(_unique_name(table, old), type_="unique")
        batch_op.alter_column(old, new_column_name=new, existing_type=sa.String(length=32), nullable=False)
    with op.batch_alter_table(table) as batch_op:  # apart: SQLite names the columns of the copy it makes
        batch_op.create_unique_constraint(_unique_name(table, new), columns)
        if new == "order_id":
            batch_op.create_foreign_key(f"fk_{table}_order_id", "orders", ["order_id"], ["id"])


def _append_only_again(table: str) -> None:
    """SQLite alters a table by making it anew, which loses its triggers."""
    if op.get_bind().dialect.name != "sqlite":
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("cutoff_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_table(
        "cases",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("plan_due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("escalated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_cases_kind_subject")),
    )
    with op.batch_alter_table("cases", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_cases_order_id"), ["order_id"], unique=False)
        batch_op.create_index(
            "ix_cases_resolved_at_plan_due_at", ["resolved_at", "plan_due_at"], unique=False
        )

    op.create_table(
        "differences",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("reference", sa.String(length=96), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=True),
        sa.Column("transaction_id", sa.String(length=64), nullable=True),
        sa.Column("pay_channel", sa.String(length=16), nullable=True),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_differences")),
        sa.UniqueConstraint("kind", "reference", name=op.f("uq_differences_kind_reference")),
    )
    with op.batch_alter_table("differences", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_differences_order_id"), ["order_id"], unique=False)
        batch_op.create_index("ix_differences_state_due_on", ["state", "due_on"], unique=False)

    op.create_table(
        "outside_queries",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("asked", sa.String(length=16), nullable=False),
        sa.Column("answer", sa.String(length=64), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outside_queries")),
        sa.UniqueConstraint(
            "order_id", "asked", "answer", name=op.f("uq_outside_queries_order_id_asked_answer")
        ),
    )
    op.create_table(
        "reconciled_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("first_run_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_run_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_reconciled_days")),
    )
    op.create_table(
        "refunds",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("transaction_id", sa.String(length=64), nullable=True),
        sa.Column("pay_channel", sa.String(length=16), nullable=False),
        sa.Column("refund_fen", sa.BigInteger(), nullable=False),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunds")),
        sa.UniqueConstraint("subject", "attempt", name=op.f("uq_refunds_subject_attempt")),
    )
    with op.batch_alter_table("refunds", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_refunds_order_id"), ["order_id"], unique=False)

    _name_subjects("ledger_entries", "order_id", "subject")
    _append_only_again("ledger_entries")

    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.add_column(sa.Column("bank", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("pay_channel", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("credit_fen", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("rest_fen", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("batch_id", sa.String(length=32), nullable=True))
        batch_op.create_index(batch_op.f("ix_orders_batch_id"), ["batch_id"], unique=False)
    for column in ("paid_at", "credited_at"):
        some = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"ix_orders_{column}", "orders", [column], postgresql_where=some, sqlite_where=some
        )

    _name_subjects("outbox", "order_id", "subject")


def downgrade() -> None:
    orphans = "SELECT count(*) FROM ledger_entries WHERE subject NOT IN (SELECT id FROM orders)"
    if op.get_bind().execute(sa.text(orphans)).scalar():
        raise RuntimeError("the ledger holds money of differences: the older schema cannot keep it")
    op.execute("DELETE FROM outbox WHERE subject NOT IN (SELECT id FROM orders)")
    _name_subjects("outbox", "subject", "order_id")
    for column in ("paid_at", "credited_at"):
        op.drop_index(f"ix_orders_{column}", "orders")
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_orders_batch_id"))
        batch_op.drop_column("batch_id")
        batch_op.drop_column("rest_fen")
        batch_op.drop_column("credit_fen")
        batch_op.drop_column("pay_channel")
        batch_op.drop_column("bank")

    _name_subjects("ledger_entries", "subject", "order_id")
    _append_only_again("ledger_entries")

    with op.batch_alter_table("refunds", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_refunds_order_id"))

    op.drop_table("refunds")
    op.drop_table("reconciled_days")
    op.drop_table("outside_queries")
    with op.batch_alter_table("differences", schema=None) as batch_op:
        batch_op.drop_index("ix_differences_state_due_on")
        batch_op.drop_index(batch_op.f("ix_differences_order_id"))

    op.drop_table("differences")
    with op.batch_alter_table("cases", schema=None) as batch_op:
        batch_op.drop_index("ix_cases_resolved_at_plan_due_at")
        batch_op.drop_index(batch_op.f("ix_cases_order_id"))

    op.drop_table("cases")
    op.drop_table("batches")
