"""The order path as a Flask-SQLAlchemy textbook writes it: ORM objects, one session, one commit.

The same tables, token, checks, rows and answer as ours; served by the same server. It is the measuring
stick for `make bench`, nothing imports it.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime, timedelta

from flask import Flask, Response, jsonify, request
from itsdangerous import BadSignature, Signer

from app.domain.ids import Kind, new_id
from app.domain.orders import read_back_hash
from app.store.models import Card, Order, OrderEvent, Session, User, db


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["ANXIN_DATABASE_URL"]
    db.init_app(app)
    signer = Signer(os.environ["ANXIN_SESSION_KEYS"], salt="anxin.session", digest_method=hashlib.sha256)

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
        told = request.get_json()
        card = db.session.query(Card).filter_by(id=told["card_id"], user_id=user.id).first()
        if card is None:
            return jsonify(code="card_not_found"), 404
        order = db.session.query(Order).filter_by(user_id=user.id, client_key=told["client_key"]).first()
        if order is None:
            order = Order(
                id=new_id(Kind.ORDER),
                user_id=user.id,
                beneficiary_id=user.id,
                payer_openid=session.openid,
                card_id=card.id,
                amount_fen=told["amount_fen"],
                fee_fen=0,
                method=told["method"],
                channel=session.channel,
                state="awaiting_confirmation",
                client_key=told["client_key"],
                request_hash=hashlib.sha256(json.dumps(told).encode()).hexdigest(),
                read_back=read_back_hash(card.id, told["amount_fen"], 0, told["method"], user.id, user.id),
                created_at=now,
                expires_at=now + timedelta(minutes=10),
            )
            db.session.add(order)
            db.session.flush()
            db.session.add(
                OrderEvent(order_id=order.id, event="opened", state_after=order.state, at=now, facts={})
            )
            db.session.commit()
        return jsonify(
            order={
                "id": order.id,
                "state": order.state,
                "amount_fen": order.amount_fen,
                "fee_fen": order.fee_fen,
                "card_id": order.card_id,
                "card_label": card.nickname or card.card_number[-4:],
                "read_back": order.read_back,
                "created_at": order.created_at.isoformat(),
            }
        ), 200

    return app
