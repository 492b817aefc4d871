"""All routes in one place; the sandbox's phone exists only where a sandbox stands in for WeChat."""

from __future__ import annotations

from apiflask import APIFlask

from app.web import (
    callbacks,
    cards,
    conversation,
    edge,
    faults,
    me,
    ops,
    orders,
    page,
    sandbox_phone,
    sessions,
    subscriptions,
)


def install(app: APIFlask, sandbox_url: str | None) -> None:
    """Register every blueprint, the edge around them and the rendering of faults."""
    edge.install(app)
    faults.install(app)
    for story in (sessions, me, conversation, cards, orders, subscriptions, callbacks, ops, page):
        app.register_blueprint(story.bp)
    if sandbox_url is not None:
        app.register_blueprint(sandbox_phone.blueprint(sandbox_url))
