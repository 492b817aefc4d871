"""All routes in one place; the sandbox's phone exists only where a sandbox stands in for WeChat."""

from __future__ import annotations

from apiflask import APIFlask

from app.web import (
    callbacks,
    cards,
    checks,
    conversation,
    edge,
    elders,
    family,
    faults,
    help,
    help_screens,
    history,
    identity,
    me,
    ops,
    orders,
    page,
    pay_requests,
    protection,
    sandbox_phone,
    sessions,
    standing_orders,
    subscriptions,
)

STORIES = (
    sessions,
    me,
    identity,
    family,
    elders,
    conversation,
    cards,
    orders,
    checks,
    help,
    protection,
    subscriptions,
    callbacks,
    ops,
    page,
    history,
    pay_requests,
    standing_orders,
)


def install(app: APIFlask, sandbox_url: str | None) -> None:
    """Register every blueprint, the edge around them and the rendering of faults."""
    edge.install(app)
    faults.install(app)
    help_screens.install(app)
    for story in STORIES:
        app.register_blueprint(story.bp)
    if sandbox_url is not None:
        app.register_blueprint(sandbox_phone.blueprint(sandbox_url))
