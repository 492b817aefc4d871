"""The order path as a Flask-SQLAlchemy textbook writes it: ORM objects, one session, one commit.

The same tables, token, validation, checks, rows and answer (order and screen) as ours; served by the same
server. It is the measuring stick for `make bench`, nothing imports it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

from flask import Flask, Response, jsonify, request
from itsdangerous import BadSignature, Signer

from app.domain.cities import City, cities
from app.domain.ids import Kind, new_id
from app.domain.limits import check_amount
from app.domain.orders import State, read_back_hash
from app.flows import views
from app.flows.checkout import OrderView
from app.ports import CardMode
from app.store import cards
from app.store import orders as rows
from app.store.models import db
from app.store.models.money import Order, OrderEvent
from app.store.models.people import Card, Session, User
from app.web import schemas


@dataclass(frozen=True, slots=True)
class _Deps:
    """What rendering an order asks for."""

    city: City


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["ANXIN_DATABASE_URL"]
    db.init_app(app)
    signer = Signer(os.environ["ANXIN_SESSION_KEYS"], salt="anxin.session", digest_method=hashlib.sha256)

    city = cities()["guangzhou"]

    @app.post("/api/v1/orders")
    def open_order() -> tuple[Response, int]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            session_id = signer.unsign(token).decode()
        except BadSignature:
            return jsonify(code="login_required"), 401
        now = datetime.now(UTC)
        session = db.session.query(Session).filter_by(id=session_id).first()
        if session is None or session.ended_at is not None or session.expires_at <= now:
            return jsonify(code="login_required"), 401
        user = db.session.query(User).filter_by(id=session.user_id).first()
        told = schemas.OrderIn.model_validate(request.get_json())
        check_amount(city.method(told.method), told.amount_fen)
        card = db.session.query(Card).filter_by(id=told.card_id, user_id=user.id).first()
        if card is None:
            return jsonify(code="card_not_found"), 404
        order = db.session.query(Order).filter_by(user_id=user.id, client_key=told.client_key).first()
        if order is None:
            order = Order(
                id=new_id(Kind.ORDER),
                user_id=user.id,
                beneficiary_id=user.id,
                payer_openid=session.openid,
                card_id=card.id,
                amount_fen=told.amount_fen,
                fee_fen=0,
                method=told.method,
                channel=session.channel,
                state="awaiting_confirmation",
                client_key=told.client_key,
                request_hash=hashlib.sha256(told.model_dump_json().encode()).hexdigest(),
                read_back=read_back_hash(card.id, told.amount_fen, 0, told.method, user.id, user.id),
                created_at=now,
                expires_at=now + timedelta(minutes=10),
            )
            db.session.add(order)
            db.session.flush()
            db.session.add(
                OrderEvent(order_id=order.id, event="opened", state_after=order.state, at=now, facts={})
            )
            db.session.commit()
        view = _view(city, order, card, now)
        page = schemas.order_page(_Deps(city), view)
        return jsonify(schemas.OrderPageOut.model_validate(page).model_dump(mode="json")), 200

    return app


def _view(city: City, order: Order, card: Card, now: datetime) -> OrderView:
    """The screen of an ORM order: every attribute read from the objects, as a template would."""
    plain_order = rows.Order(
        **{field.name: getattr(order, field.name) for field in fields(rows.Order) if field.name != "state"},
        state=State(order.state),
    )
    plain_card = cards.Card(
        **{field.name: getattr(card, field.name) for field in fields(cards.Card) if field.name != "mode"},
        mode=CardMode(card.mode),
    )
    return OrderView(plain_order, plain_card, views.order_screen(city, plain_order, plain_card, now))
