"""The ASGI entry point of help sessions: `granian --interface asgi live:app`."""

from app.wiring import live_application

app = live_application()
