"""A small WeChat, a small WeChat Pay and a small city card system, reached over HTTP like the real ones.

For development, demonstrations and tests. It is honest where it matters: requests must be signed,
answers and notices are signed with real keys, and its state survives being killed. Faults are chosen by
magic values, so they are repeatable: docs/SANDBOX.md has the tables.

Run it: `python -m app.providers.sandbox --port 8001 --data-dir var/sandbox --notify-base http://127.0.0.1:8000`.
Production refuses to start with it (app/config.py).
"""
