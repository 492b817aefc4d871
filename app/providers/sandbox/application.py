"""The sandbox as one WSGI application."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request

from app.domain.clock import SystemClock
from app.ports import Clock
from app.providers.sandbox.asks import BadAsk
from app.providers.sandbox.bank_checks import BankChecks
from app.providers.sandbox.bills import Bills
from app.providers.sandbox.card_batches import Batches
from app.providers.sandbox.cards import Cards, seed_cards
from app.providers.sandbox.faults import FaultyNotices
from app.providers.sandbox.keys import SandboxKeys, load_or_create_keys
from app.providers.sandbox.mini_program import MiniProgram
from app.providers.sandbox.notices import NoticeBook, Post, post_over_http
from app.providers.sandbox.outages import BANK_CHECKS, CARDS, TEXTS
from app.providers.sandbox.pay_edge import PayEdge
from app.providers.sandbox.phone import phone_routes
from app.providers.sandbox.refunds import Refunds
from app.providers.sandbox.signed_edge import Gateway, SignedEdge
from app.providers.sandbox.store import Store
from app.providers.sandbox.tester import Tester
from app.providers.sandbox.texts import TextGateway
from app.providers.sandbox.trades import Trades
from app.providers.sandbox.trouble import Trouble
from app.providers.sandbox.wechat_identity import WeChatIdentities
from app.providers.sandbox.world import AnswerLost, SandboxSettings, World, break_connection

LARGEST_BODY_BYTES = 256 * 1024


class Sandbox:
    """One sandbox: `app` is the WSGI application; close() stops its background work."""

    def __init__(
        self,
        settings: SandboxSettings,
        clock: Clock | None = None,
        keys: SandboxKeys | None = None,
        post: Post = post_over_http,
    ) -> None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        if keys is not None:
            keys.save(settings.data_dir)
        self.keys = load_or_create_keys(settings.data_dir)
        store = Store(settings.data_dir / "sandbox.sqlite3", self.keys.merchant_id)
        seed_cards(store)
        self.world = World(settings, self.keys, clock or SystemClock(), store, settings.notify_base)
        self.notices = NoticeBook(self.world, post)
        self.trades = Trades(self.world, self.notices)
        self.refunds = Refunds(self.world, self.notices)
        self.bills = Bills(self.world)
        self.cards = Cards(self.world)
        self.batches = Batches(self.world)
        self.app = self._application()
        if settings.delivery == "background":
            self.notices.start(before=self.refunds.finish_due)

    def close(self) -> None:
        """Stop delivering notices. Idempotent; what is undelivered waits in the store."""
        self.notices.stop()

    def _finish_due(self) -> None:
        """What has fallen due meanwhile, before anybody looks."""
        self.refunds.finish_due()
        self.batches.finish_due()

    def _application(self) -> Flask:
        app = Flask("sandbox", static_folder=None)
        app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY_BYTES
        mini_program = MiniProgram(self.world)
        faulty = FaultyNotices(self.world, self.trades, self.notices)
        app.register_blueprint(mini_program.routes())
        app.register_blueprint(phone_routes(mini_program, self.trades))
        app.register_blueprint(Tester(self.world, self.notices, faulty, self._finish_due).routes())
        app.register_blueprint(Trouble(self).routes())
        app.register_blueprint(WeChatIdentities(self.world, mini_program).routes())
        self._pay_routes(app)
        self._card_routes(app)
        self._identity_routes(app)
        app.get("/healthz", endpoint="healthz")(lambda: {"ok": True})
        app.register_error_handler(AnswerLost, break_connection)
        app.register_error_handler(BadAsk, _bad_ask)
        app.register_error_handler(UnicodeEncodeError, _bad_ask)  # half a surrogate pair in somebody's JSON
        return app

    def _pay_routes(self, app: Flask) -> None:
        edge, trades, refunds, bills = PayEdge(self.world), self.trades, self.refunds, self.bills
        pay, home = "/v3/pay/transactions", "/v3/refund/domestic/refunds"

        @app.post(f"{pay}/jsapi")
        def prepay() -> Response:
            return edge.handle(trades.prepay)

        @app.get(f"{pay}/out-trade-no/<order_id>")
        def query(order_id: str) -> Response:
            mchid = request.args.get("mchid")
            return edge.handle(lambda merchant, _body: trades.query(merchant, mchid, order_id=order_id))

        @app.get(f"{pay}/id/<transaction_id>")
        def query_by_transaction(transaction_id: str) -> Response:
            mchid = request.args.get("mchid")
            return edge.handle(
                lambda merchant, _body: trades.query(merchant, mchid, transaction_id=transaction_id)
            )

        @app.post(f"{pay}/out-trade-no/<order_id>/close")
        def close(order_id: str) -> Response:
            return edge.handle(lambda merchant, body: trades.close(merchant, order_id, body))

        @app.post(home)
        def refund() -> Response:
            return edge.handle(refunds.ask)

        @app.get("/v3/bill/tradebill")
        def trade_bill() -> Response:
            refunds.finish_due()
            return edge.handle(lambda merchant, _body: bills.link(merchant))

        @app.get("/v3/billdownload/file")
        def bill_file() -> Response:
            return edge.admit(lambda merchant, _raw: bills.download(merchant))

        @app.get(f"{home}/<refund_id>")
        def query_refund(refund_id: str) -> Response:
            return edge.handle(lambda merchant, _body: refunds.query(merchant, refund_id))

    def _card_routes(self, app: Flask) -> None:
        cards, system = self.cards, "/card-system/v1"
        gateway = Gateway(CARDS, "X-Card", self.keys.card_client_id, self.keys.card_secret)
        batches, edge = self.batches, SignedEdge(self.world, gateway, before=self.batches.finish_due)

        @app.post(f"{system}/cards/find")
        def find_card() -> Response:
            return edge.handle(cards.find)

        @app.post(f"{system}/credits")
        def credit() -> Response:
            return edge.handle(cards.credit)

        @app.get(f"{system}/credits/<order_id>")
        def query_credit(order_id: str) -> Response:
            return edge.handle(lambda _body: cards.query(order_id))

        @app.put(f"{system}/batches/<batch_id>")
        def submit_batch(batch_id: str) -> Response:
            return edge.take_file(lambda file: batches.submit(batch_id, file))

        @app.get(f"{system}/batches/<batch_id>")
        def batch_result(batch_id: str) -> Response:
            return edge.give_file(lambda: batches.result(batch_id))

        @app.get(f"{system}/files/credits/<day>")
        def credits_of(day: str) -> Response:
            return edge.give_file(lambda: batches.credits_of(day))

    def _identity_routes(self, app: Flask) -> None:
        key_id, secret = self.keys.card_client_id, self.keys.gateway_secret
        texts, banks = TextGateway(self.world), BankChecks(self.world)
        text_edge = SignedEdge(self.world, Gateway(TEXTS, "X-Text", key_id, secret(TEXTS)))
        bank_edge = SignedEdge(self.world, Gateway(BANK_CHECKS, "X-Bank", key_id, secret(BANK_CHECKS)))
        app.register_blueprint(texts.routes())

        @app.post("/texts/v1/messages")
        def send_text() -> Response:
            return text_edge.handle(texts.send)

        @app.post("/bank-checks/v1/verifications")
        def verify_bank_card() -> Response:
            return bank_edge.handle(banks.verify)


def create_sandbox(
    settings: SandboxSettings,
    clock: Clock | None = None,
    keys: SandboxKeys | None = None,
    post: Post = post_over_http,
) -> Sandbox:
    """A sandbox on `settings.data_dir`; `keys` replaces generating them, `post` replaces HTTP delivery."""
    return Sandbox(settings, clock, keys, post)


def _bad_ask(fault: Exception) -> tuple[Response, int]:
    return jsonify({"error": str(fault)}), 400
