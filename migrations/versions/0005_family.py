"""The family: roles and caps of ties, requests, standing orders, help from afar, questions, holds, deeds."""

from datetime import timedelta

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


AGREED = timedelta(days=180)


def _agree_to_old_ties() -> None:
    """Who was bound before goes on being told and asked, until the elder is asked again after 180 days."""
    ties = sa.table(
        "relatives",
        *(sa.column(name, sa.String()) for name in ("elder_id", "relative_id", "state")),
        sa.column("bound_at", sa.DateTime(timezone=True)),
        sa.column("agreed_until", sa.DateTime(timezone=True)),
        sa.column("roles", sa.JSON()),
    )
    bound = sa.select(ties).where(ties.c.state == "bound", ties.c.bound_at.is_not(None))
    for row in op.get_bind().execute(bound).all():
        mine = (ties.c.elder_id == row.elder_id) & (ties.c.relative_id == row.relative_id)
        agreed = sa.update(ties).where(mine).values(roles=["alerts"], agreed_until=row.bound_at + AGREED)
        op.get_bind().execute(agreed)


def upgrade() -> None:
    op.create_table('deeds',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('elder_id', sa.String(length=32), nullable=False),
    sa.Column('actor_id', sa.String(length=32), nullable=True),
    sa.Column('kind', sa.String(length=32), nullable=False),
    sa.Column('subject', sa.String(length=64), nullable=False),
    sa.Column('facts', sa.JSON(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['actor_id'], ['users.id'], name=op.f('fk_deeds_actor_id')),
    sa.ForeignKeyConstraint(['elder_id'], ['users.id'], name=op.f('fk_deeds_elder_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_deeds')),
    sa.UniqueConstraint('elder_id', 'kind', 'subject', name=op.f('uq_deeds_elder_id_kind_subject'))
    )
    with op.batch_alter_table('deeds', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_deeds_actor_id'), ['actor_id'], unique=False)
        batch_op.create_index('ix_deeds_elder_id_id', ['elder_id', 'id'], unique=False)

    op.create_table('help_sessions',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('elder_id', sa.String(length=32), nullable=False),
    sa.Column('relative_id', sa.String(length=32), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('spoken_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('touched_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_by', sa.String(length=16), nullable=True),
    sa.ForeignKeyConstraint(['elder_id'], ['users.id'], name=op.f('fk_help_sessions_elder_id')),
    sa.ForeignKeyConstraint(['relative_id'], ['users.id'], name=op.f('fk_help_sessions_relative_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_help_sessions'))
    )
    with op.batch_alter_table('help_sessions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_help_sessions_elder_id'), ['elder_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_help_sessions_relative_id'), ['relative_id'], unique=False)

    op.create_table('help_events',
    sa.Column('session_id', sa.String(length=32), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('side', sa.String(length=16), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('body', sa.JSON(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['session_id'], ['help_sessions.id'], name=op.f('fk_help_events_session_id')),
    sa.PrimaryKeyConstraint('session_id', 'number', name=op.f('pk_help_events'))
    )
    op.create_table('help_tickets',
    sa.Column('ticket', sa.String(length=81), nullable=False),
    sa.Column('session_id', sa.String(length=32), nullable=False),
    sa.Column('side', sa.String(length=16), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['session_id'], ['help_sessions.id'], name=op.f('fk_help_tickets_session_id')),
    sa.PrimaryKeyConstraint('ticket', name=op.f('pk_help_tickets'))
    )
    with op.batch_alter_table('help_tickets', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_help_tickets_expires_at'), ['expires_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_help_tickets_session_id'), ['session_id'], unique=False)

    op.create_table('standing_orders',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('relative_id', sa.String(length=32), nullable=False),
    sa.Column('elder_id', sa.String(length=32), nullable=False),
    sa.Column('card_id', sa.String(length=32), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('amount_fen', sa.BigInteger(), nullable=False),
    sa.Column('day_of_month', sa.Integer(), nullable=True),
    sa.Column('threshold_fen', sa.BigInteger(), nullable=True),
    sa.Column('month_ceiling_fen', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_standing_orders_card_id')),
    sa.ForeignKeyConstraint(['elder_id'], ['users.id'], name=op.f('fk_standing_orders_elder_id')),
    sa.ForeignKeyConstraint(['relative_id'], ['users.id'], name=op.f('fk_standing_orders_relative_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_standing_orders'))
    )
    with op.batch_alter_table('standing_orders', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_standing_orders_elder_id'), ['elder_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_standing_orders_relative_id'), ['relative_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_standing_orders_state'), ['state'], unique=False)

    op.create_table('holds',
    sa.Column('order_id', sa.String(length=32), nullable=False),
    sa.Column('elder_id', sa.String(length=32), nullable=False),
    sa.Column('placed_by', sa.String(length=32), nullable=False),
    sa.Column('reason', sa.String(length=64), nullable=False),
    sa.Column('placed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('until', sa.DateTime(timezone=True), nullable=False),
    sa.Column('released_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('released_by', sa.String(length=64), nullable=True),
    sa.ForeignKeyConstraint(['elder_id'], ['users.id'], name=op.f('fk_holds_elder_id')),
    sa.ForeignKeyConstraint(['order_id'], ['orders.id'], name=op.f('fk_holds_order_id')),
    sa.ForeignKeyConstraint(['placed_by'], ['users.id'], name=op.f('fk_holds_placed_by')),
    sa.PrimaryKeyConstraint('order_id', name=op.f('pk_holds'))
    )
    with op.batch_alter_table('holds', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_holds_elder_id'), ['elder_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_holds_placed_by'), ['placed_by'], unique=False)

    op.create_table('pay_requests',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('elder_id', sa.String(length=32), nullable=False),
    sa.Column('card_id', sa.String(length=32), nullable=False),
    sa.Column('amount_fen', sa.BigInteger(), nullable=False),
    sa.Column('client_key', sa.String(length=64), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('next_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('order_id', sa.String(length=32), nullable=True),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_pay_requests_card_id')),
    sa.ForeignKeyConstraint(['elder_id'], ['users.id'], name=op.f('fk_pay_requests_elder_id')),
    sa.ForeignKeyConstraint(['order_id'], ['orders.id'], name=op.f('fk_pay_requests_order_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_pay_requests'))
    )
    with op.batch_alter_table('pay_requests', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_pay_requests_elder_id'), ['elder_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_pay_requests_order_id'), ['order_id'], unique=False)
        batch_op.create_index('ix_pay_requests_state_next_at', ['state', 'next_at'], unique=False)

    op.create_table('proposals',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('standing_order_id', sa.String(length=32), nullable=False),
    sa.Column('period', sa.String(length=16), nullable=False),
    sa.Column('amount_fen', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('order_id', sa.String(length=32), nullable=True),
    sa.ForeignKeyConstraint(['order_id'], ['orders.id'], name=op.f('fk_proposals_order_id')),
    sa.ForeignKeyConstraint(['standing_order_id'], ['standing_orders.id'], name=op.f('fk_proposals_standing_order_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_proposals')),
    sa.UniqueConstraint('standing_order_id', 'period', name=op.f('uq_proposals_standing_order_id_period'))
    )
    with op.batch_alter_table('proposals', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_proposals_order_id'), ['order_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_proposals_state'), ['state'], unique=False)

    op.create_table('questions',
    sa.Column('order_id', sa.String(length=32), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('reasons', sa.JSON(), nullable=False),
    sa.Column('facts', sa.JSON(), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('answer', sa.String(length=16), nullable=True),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('verdict', sa.String(length=16), nullable=True),
    sa.ForeignKeyConstraint(['order_id'], ['orders.id'], name=op.f('fk_questions_order_id')),
    sa.PrimaryKeyConstraint('order_id', 'kind', name=op.f('pk_questions'))
    )
    op.create_table('pay_request_asks',
    sa.Column('request_id', sa.String(length=32), nullable=False),
    sa.Column('relative_id', sa.String(length=32), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('answer', sa.String(length=16), nullable=True),
    sa.Column('reason', sa.String(length=64), nullable=True),
    sa.ForeignKeyConstraint(['relative_id'], ['users.id'], name=op.f('fk_pay_request_asks_relative_id')),
    sa.ForeignKeyConstraint(['request_id'], ['pay_requests.id'], name=op.f('fk_pay_request_asks_request_id')),
    sa.PrimaryKeyConstraint('request_id', 'relative_id', name=op.f('pk_pay_request_asks'))
    )
    with op.batch_alter_table('pay_request_asks', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_pay_request_asks_relative_id'), ['relative_id'], unique=False)

    with op.batch_alter_table('relatives', schema=None) as batch_op:
        batch_op.add_column(sa.Column('roles', sa.JSON(), server_default='[]', nullable=False))
        batch_op.add_column(sa.Column('agreed_until', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('single_fen', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('day_fen', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('month_fen', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('frozen_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('frozen_why', sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column('elder_name', sa.String(length=32), nullable=True))
    others = sa.text('user_id <> beneficiary_id')
    name, columns = 'ix_orders_beneficiary_id', ['beneficiary_id']
    op.create_index(name, 'orders', columns, postgresql_where=others, sqlite_where=others)
    _agree_to_old_ties()



def downgrade() -> None:
    op.drop_index('ix_orders_beneficiary_id', table_name='orders')
    with op.batch_alter_table('relatives', schema=None) as batch_op:
        batch_op.drop_column('elder_name')
        batch_op.drop_column('frozen_why')
        batch_op.drop_column('frozen_at')
        batch_op.drop_column('month_fen')
        batch_op.drop_column('day_fen')
        batch_op.drop_column('single_fen')
        batch_op.drop_column('agreed_until')
        batch_op.drop_column('roles')

    with op.batch_alter_table('pay_request_asks', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_pay_request_asks_relative_id'))

    op.drop_table('pay_request_asks')
    op.drop_table('questions')
    with op.batch_alter_table('proposals', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_proposals_state'))
        batch_op.drop_index(batch_op.f('ix_proposals_order_id'))

    op.drop_table('proposals')
    with op.batch_alter_table('pay_requests', schema=None) as batch_op:
        batch_op.drop_index('ix_pay_requests_state_next_at')
        batch_op.drop_index(batch_op.f('ix_pay_requests_order_id'))
        batch_op.drop_index(batch_op.f('ix_pay_requests_elder_id'))

    op.drop_table('pay_requests')
    with op.batch_alter_table('holds', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_holds_placed_by'))
        batch_op.drop_index(batch_op.f('ix_holds_elder_id'))

    op.drop_table('holds')
    with op.batch_alter_table('standing_orders', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_standing_orders_state'))
        batch_op.drop_index(batch_op.f('ix_standing_orders_relative_id'))
        batch_op.drop_index(batch_op.f('ix_standing_orders_elder_id'))

    op.drop_table('standing_orders')
    with op.batch_alter_table('help_tickets', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_help_tickets_session_id'))
        batch_op.drop_index(batch_op.f('ix_help_tickets_expires_at'))

    op.drop_table('help_tickets')
    op.drop_table('help_events')
    with op.batch_alter_table('help_sessions', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_help_sessions_relative_id'))
        batch_op.drop_index(batch_op.f('ix_help_sessions_elder_id'))

    op.drop_table('help_sessions')
    with op.batch_alter_table('deeds', schema=None) as batch_op:
        batch_op.drop_index('ix_deeds_elder_id_id')
        batch_op.drop_index(batch_op.f('ix_deeds_actor_id'))

    op.drop_table('deeds')
