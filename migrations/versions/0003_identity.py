"""identity: checks, challenges, codes, templates, real names, relatives."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "face_templates",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("model_id", sa.String(length=64), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_face_templates_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_face_templates")),
    )
    with op.batch_alter_table("face_templates", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_face_templates_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "frames_seen",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("frame", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_frames_seen_user_id")),
        sa.PrimaryKeyConstraint("user_id", "frame", name=op.f("pk_frames_seen")),
    )
    with op.batch_alter_table("frames_seen", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_frames_seen_at"), ["at"], unique=False)

    op.create_table(
        "one_time_codes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("bound_to", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("issued_by", sa.String(length=64), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_one_time_codes_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_codes")),
    )
    with op.batch_alter_table("one_time_codes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_one_time_codes_code"), ["code"], unique=False)
        batch_op.create_index("ix_one_time_codes_user_id_purpose", ["user_id", "purpose"], unique=False)

    op.create_table(
        "own_limits",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("single_fen", sa.BigInteger(), nullable=False),
        sa.Column("day_fen", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_own_limits_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_own_limits")),
    )
    op.create_table(
        "real_names",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("id_number", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("bank_card", sa.Text(), nullable=True),
        sa.Column("id_number_lookup", sa.String(length=64), nullable=True),
        sa.Column("phone_lookup", sa.String(length=64), nullable=True),
        sa.Column("bank_card_lookup", sa.String(length=64), nullable=True),
        sa.Column("named_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("phone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bank_card_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_real_names_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_real_names")),
    )
    with op.batch_alter_table("real_names", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_real_names_bank_card_lookup"), ["bank_card_lookup"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_real_names_id_number_lookup"), ["id_number_lookup"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_real_names_phone_lookup"), ["phone_lookup"], unique=False)

    op.create_table(
        "relatives",
        sa.Column("elder_id", sa.String(length=32), nullable=False),
        sa.Column("relative_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("bound_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["elder_id"], ["users.id"], name=op.f("fk_relatives_elder_id")),
        sa.ForeignKeyConstraint(["relative_id"], ["users.id"], name=op.f("fk_relatives_relative_id")),
        sa.PrimaryKeyConstraint("elder_id", "relative_id", name=op.f("pk_relatives")),
    )
    with op.batch_alter_table("relatives", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_relatives_relative_id"), ["relative_id"], unique=False)

    op.create_table(
        "challenges",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("order_id", sa.String(length=32), nullable=False),
        sa.Column("bound_to", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("actions", sa.JSON(), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_challenges_order_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_challenges_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_challenges")),
    )
    with op.batch_alter_table("challenges", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_challenges_order_id"), ["order_id"], unique=False)
        batch_op.create_index("ix_challenges_user_id_opened_at", ["user_id", "opened_at"], unique=False)

    op.create_table(
        "identity_checks",
        sa.Column("order_id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("ways", sa.JSON(), nullable=False),
        sa.Column("proves_entry", sa.Boolean(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("passed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("relatives_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_identity_checks_order_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_identity_checks_user_id")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_identity_checks")),
    )
    with op.batch_alter_table("identity_checks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_checks_user_id"), ["user_id"], unique=False)

    op.create_table(
        "check_factors",
        sa.Column("order_id", sa.String(length=32), nullable=False),
        sa.Column("factor", sa.String(length=16), nullable=False),
        sa.Column("proven_by", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["order_id"], ["identity_checks.order_id"], name=op.f("fk_check_factors_order_id")
        ),
        sa.PrimaryKeyConstraint("order_id", "factor", name=op.f("pk_check_factors")),
    )


def downgrade() -> None:
    op.drop_table("check_factors")
    with op.batch_alter_table("identity_checks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_checks_user_id"))

    op.drop_table("identity_checks")
    with op.batch_alter_table("challenges", schema=None) as batch_op:
        batch_op.drop_index("ix_challenges_user_id_opened_at")
        batch_op.drop_index(batch_op.f("ix_challenges_order_id"))

    op.drop_table("challenges")
    with op.batch_alter_table("relatives", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_relatives_relative_id"))

    op.drop_table("relatives")
    with op.batch_alter_table("real_names", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_real_names_phone_lookup"))
        batch_op.drop_index(batch_op.f("ix_real_names_id_number_lookup"))
        batch_op.drop_index(batch_op.f("ix_real_names_bank_card_lookup"))

    op.drop_table("real_names")
    op.drop_table("own_limits")
    with op.batch_alter_table("one_time_codes", schema=None) as batch_op:
        batch_op.drop_index("ix_one_time_codes_user_id_purpose")
        batch_op.drop_index(batch_op.f("ix_one_time_codes_code"))

    op.drop_table("one_time_codes")
    with op.batch_alter_table("frames_seen", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_frames_seen_at"))

    op.drop_table("frames_seen")
    with op.batch_alter_table("face_templates", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_face_templates_expires_at"))

    op.drop_table("face_templates")
