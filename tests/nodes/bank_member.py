"""A bank of many: moves money to the others without end, and never loses any of it.

What it sent to each other member in all, and what it got from each, are in its region. A message is
the sum of all that was sent, so a lost one is made good by the next, and one that comes twice
changes nothing. In every consistent cut nobody has got what was not sent.

Usage: bank_member.py NUMBER PORT PORT ...   (the ports of all, in their order; its own among them)

$BANK_TAP is a socket to take its line through, see tap.py; into the file $BANK_GAP goes the longest
time, in seconds, in which it could do nothing.
"""

import os
import random
import select
import socket
import struct
import sys
import time

import numpy as np

import mmsnap
from mmsnap.memory import Region

MESSAGE = struct.Struct("<qqq")

if "BANK_TAP" in os.environ:
    join = Region.join
    Region.join = lambda region, _path, *words, **named: join(  # type: ignore[method-assign]
        region, os.environ["BANK_TAP"], *words, **named
    )
gap = (
    np.memmap(os.environ["BANK_GAP"], np.float64, "r+") if "BANK_GAP" in os.environ else np.zeros(1)
)

number, ports = int(sys.argv[1]), [int(port) for port in sys.argv[2:]]
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.bind(("127.0.0.1", ports[number]))
line.setblocking(False)
chance = random.Random(number)


with mmsnap.attach(size="8MiB") as app:
    sent = app.array("sent", len(ports), np.int64)
    got = app.array("got", len(ports), np.int64)
    print("ready", flush=True)
    last = time.monotonic()
    while True:
        now = time.monotonic()
        gap[0], last = max(gap[0], now - last), now
        to = chance.randrange(len(ports))
        with app.update():
            if select.select([line], [], [], 0)[0]:
                sender, generation, total = MESSAGE.unpack(line.recv(MESSAGE.size))
                if generation == app.generation:  # else it is of a time that never was
                    got[sender] = max(got[sender], total)
            sent[to] += chance.randrange(100)
            message = MESSAGE.pack(number, app.generation, int(sent[to]))
        line.sendto(message, ("127.0.0.1", ports[to]))
        time.sleep(0.0005)
