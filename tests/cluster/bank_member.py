"""A bank of many: moves money to the others without end, and never loses any of it.

What it sent to each other member in all, and what it got from each, are in its region. A message is
the sum of all that was sent, so a lost one is made good by the next, and one that comes twice
changes nothing. In every consistent cut nobody has got what was not sent.

Usage: bank_member.py NUMBER PORT PORT ...   (the ports of all, in their order; its own among them)
"""

import random
import select
import socket
import struct
import sys
import time

import numpy as np

import mmsnap

MESSAGE = struct.Struct("<qq")

number, ports = int(sys.argv[1]), [int(port) for port in sys.argv[2:]]
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.bind(("127.0.0.1", ports[number]))
line.setblocking(False)
chance = random.Random(number)


def drain() -> None:
    while select.select([line], [], [], 0)[0]:
        line.recv(MESSAGE.size)


with mmsnap.attach(size="8MiB") as app:
    sent = app.array("sent", len(ports), np.int64)
    got = app.array("got", len(ports), np.int64)
    seen_sent, seen_got = sent.copy(), got.copy()
    print("ready", flush=True)
    while True:
        to = chance.randrange(len(ports))
        with app.update():
            if not (np.array_equal(sent, seen_sent) and np.array_equal(got, seen_got)):
                drain()  # we were restored: what is on the way is of a time that never was
            elif select.select([line], [], [], 0)[0]:
                sender, total = MESSAGE.unpack(line.recv(MESSAGE.size))
                got[sender] = max(got[sender], total)
            sent[to] += chance.randrange(100)
            seen_sent, seen_got = sent.copy(), got.copy()
        line.sendto(MESSAGE.pack(number, int(sent[to])), ("127.0.0.1", ports[to]))
        time.sleep(0.0005)
