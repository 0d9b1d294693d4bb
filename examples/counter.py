"""A counter that survives kill -9: run it, kill -9 it, run it again.

It counts 50 million random hits in an array and, beside it, how many there were. However often it
is killed, the two always agree, because no checkpoint falls between them. The memory is kept in
the folder ./pool.
"""

import numpy as np

import mmsnap

with mmsnap.open("./pool", "counter", size="1GiB", every="1s", keep_last=10) as app:
    hits = app.array("hits", (2_000_000,), np.int64)  # zeros, or as restored
    if app.restored:
        print("resumed", app.restored.name, "at", app.state["n"])
    else:
        app.state["n"] = 0
    while app.state["n"] < 50_000_000:
        ids = np.random.default_rng().integers(0, hits.size, 10_000)
        with app.update():  # no cut falls between these two
            np.add.at(hits, ids, 1)
            app.state["n"] += ids.size
    finished = [each for each in app.checkpoints() if each.name == "done"]
    done = finished[0] if finished else app.checkpoint("done", wait="durable")
    print(done.name, done.pause_ns, "ns", done.bytes_written, "bytes")
