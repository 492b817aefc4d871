"""card numbers are sealed and found by a lookup; lookups carry the id of their key, so that it can be replaced.

Sealing needs the keys of the vault, so that this runs in the application (`flask --app wsgi db upgrade`) as
soon as there is anything to seal. Lookups from before were all made with one key: the oldest that is
configured (the last of ANXIN_LOOKUP_KEYS). Codes that wait for their answer, and counters of tries, are left:
the first are asked for once more, the second begin anew.
"""

import sqlalchemy as sa
from alembic import op
from flask import current_app

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

AT_ONCE = 1000
TEXT_64, TEXT_81 = sa.String(length=64), sa.String(length=81)
# (table, column, whether it may be empty): what holds lookups.
LOOKUPS = (
    ("real_names", "id_number_lookup", True),
    ("real_names", "phone_lookup", True),
    ("real_names", "bank_card_lookup", True),
    ("devices", "device_key", False),
    ("one_time_codes", "code", False),
    ("one_time_codes", "bound_to", False),
    ("rate_counters", "bucket", False),
)
KEPT = LOOKUPS[:4]  # for longer than a day
cards = sa.table(
    "cards",
    *(
        sa.column(name, sa.String)
        for name in ("id", "position", "card_number", "card_number_lookup", "prefix", "last_four")
    ),
)


def _rows():
    """Every card, some at a time: those that follow do not change while these are written."""
    after = ""
    while True:
        asked = sa.select(cards.c.id, cards.c.position, cards.c.card_number, cards.c.prefix, cards.c.last_four)
        some = op.get_bind().execute(asked.where(cards.c.id > after).order_by(cards.c.id).limit(AT_ONCE)).all()
        if not some:
            return
        yield some
        after = some[-1].id


def _write(values):
    """Values by card id, under the names of their columns with an underscore before them."""
    if values:
        names = [name for name in values[0] if name != "_id"]
        changed = {name[1:]: sa.bindparam(name) for name in names}
        op.get_bind().execute(
            sa.update(cards).where(cards.c.id == sa.bindparam("_id")).values(changed), values
        )


def _any(table, column):
    found = sa.select(sa.literal(1)).select_from(sa.table(table)).where(sa.column(column).is_not(None))
    return op.get_bind().execute(found.limit(1)).first() is not None


def _deps():
    """The application around us, which has the vault. Nothing is changed without it."""
    deps = current_app.extensions.get("anxin")
    if deps is None:
        raise SystemExit(
            "0006: there are card numbers or lookups, and no keys of the vault. Nothing was changed. Run "
            "`flask --app wsgi db upgrade` (or downgrade) with ANXIN_VAULT_KEYS and ANXIN_LOOKUP_KEYS."
        )
    return deps


def upgrade() -> None:
    bound = _any("cards", "card_number")
    hashed = any(_any(table, column) for table, column, _empty in KEPT)
    deps = _deps() if bound or hashed else None
    _resize(TEXT_64, TEXT_81)
    with op.batch_alter_table("cards", schema=None) as batch_op:
        batch_op.add_column(sa.Column("card_number_lookup", TEXT_81, nullable=True))
        batch_op.add_column(sa.Column("prefix", sa.String(length=8), nullable=True))
        batch_op.add_column(sa.Column("last_four", sa.String(length=4), nullable=True))
        batch_op.alter_column(
            "card_number", existing_type=sa.String(length=32), type_=sa.Text(), nullable=True
        )
        batch_op.drop_constraint(op.f("uq_cards_user_id_card_number"), type_="unique")
    if bound:
        for some in _rows():
            _write([_sealed(deps.vault, row) for row in some])
    if hashed:
        key_id = deps.settings.vault.lookup_keys[-1][0]
        for table, column, _empty in KEPT:
            op.execute(f"UPDATE {table} SET {column} = '{key_id}:' || {column} WHERE {column} IS NOT NULL")
    with op.batch_alter_table("cards", schema=None) as batch_op:
        batch_op.alter_column("prefix", existing_type=sa.String(length=8), nullable=False)
        batch_op.alter_column("last_four", existing_type=sa.String(length=4), nullable=False)
        batch_op.create_index(
            batch_op.f("ix_cards_card_number_lookup"), ["card_number_lookup"], unique=False
        )


def _sealed(vault, row):
    """An erased person's number has lost its middle to a star, and is not needed any more."""
    number = row.card_number
    plain = {"_id": row.id, "_prefix": number[:8], "_last_four": number[-4:]}
    if "*" in number:
        return plain | {"_card_number": None, "_card_number_lookup": None}
    sealed = vault.seal(number.encode(), f"cards.card_number:{row.id}")
    return plain | {"_card_number": sealed, "_card_number_lookup": vault.lookup(number, "cards.card_number")}


def downgrade() -> None:
    vault = _deps().vault if _any("cards", "card_number") else None
    for some in _rows():  # what does not open stops us here, before anything is changed
        for row in some:
            _opened(vault, row)
    with op.batch_alter_table("cards", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_cards_card_number_lookup"))
    for some in _rows():
        _write([{"_id": row.id, "_card_number": _opened(vault, row)} for row in some])
    with op.batch_alter_table("cards", schema=None) as batch_op:
        batch_op.alter_column(
            "card_number", existing_type=sa.Text(), type_=sa.String(length=32), nullable=False
        )
        batch_op.drop_column("last_four")
        batch_op.drop_column("prefix")
        batch_op.drop_column("card_number_lookup")
        batch_op.create_unique_constraint(
            op.f("uq_cards_user_id_card_number"), ["user_id", "card_number"]
        )
    after_colon = "strpos" if op.get_bind().dialect.name == "postgresql" else "instr"
    for table, column, _empty in LOOKUPS:
        op.execute(f"UPDATE {table} SET {column} = substr({column}, {after_colon}({column}, ':') + 1)")
    _resize(TEXT_81, TEXT_64)


def _opened(vault, row):
    if row.card_number is None:
        return f"{row.prefix}*{row.position}*{row.last_four}"
    place = f"cards.card_number:{row.id}"
    try:
        return vault.open(row.card_number, place).decode()
    except ValueError as fault:
        raise SystemExit(f"0006: {place}: {fault}. Nothing was changed.") from None


def _resize(before, after) -> None:
    for table in dict.fromkeys(table for table, _column, _empty in LOOKUPS):
        with op.batch_alter_table(table, schema=None) as batch_op:
            for other, column, empty in LOOKUPS:
                if other == table:
                    batch_op.alter_column(
                        column, existing_type=before, type_=after, existing_nullable=empty
                    )
