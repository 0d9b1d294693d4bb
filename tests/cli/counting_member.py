"""A member for the tests: counts up in its memory until it is told to end.

Prints "at N" when it is a member, N being what its memory showed, and again on every restore.
"""

import signal
import sys
import threading

import numpy as np

import mmsnap

ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())

with mmsnap.attach(size="4MiB") as app:
    count = app.array("count", (1,), np.int64)

    @app.after_restore
    def tell(*_: object) -> None:
        print("at", count[0], flush=True)

    print("at", count[0], flush=True)
    while not ended.wait(0.01):
        with app.update():
            count[0] += 1
sys.exit(5)
