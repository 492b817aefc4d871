"""The WSGI entry point: `granian --interface wsgi wsgi:app`, `flask --app wsgi …`."""

import gc

from app import create_app

app = create_app()

# What starting up made lives for ever; looking through it again and again for garbage cost a tenth of
# the order path (measured, bench/). Requests leave little that is cyclic.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 50)
