"""Small programs that know nothing of mmsnap, as source for `python3 -c`."""

COUNTER = """
import sys, time, threading
ballast = bytearray(int(sys.argv[1]) << 20)
for at in range(0, len(ballast), 4096): ballast[at] = at >> 12 & 255
count = 0
while True:
    count += 1
    assert ballast[(count % (len(ballast) >> 12)) << 12] == count % (len(ballast) >> 12) & 255
    print(count, flush=True)
    time.sleep(0.02)
"""

# Numbers go to the peer and come back plus one; a gap, a repetition or an error ends either.
ECHO_SERVER = """
import socket
listener = socket.create_server(("127.0.0.1", {port}))
expected = 0
while True:
    line, _ = listener.accept()
    try:
        with line, line.makefile("rw") as file:
            for text in file:
                assert int(text) == expected, (text, expected)
                expected += 1
                file.write(f"{{expected}}\\n"); file.flush()
    except OSError: pass
"""
ECHO_CLIENT = """
import socket, time
for _ in range(100):
    try:
        line = socket.create_connection(("127.0.0.1", {port})); break
    except OSError: time.sleep(0.1)
number = 0
with line, line.makefile("rw") as file:
    while True:
        file.write(f"{{number}}\\n"); file.flush()
        answer = int(file.readline())
        assert answer == number + 1, (answer, number)
        number = answer
        if number % 50 == 0: print(number, flush=True)
        time.sleep(0.001)
"""

WEB_SERVER = """
import http.server, json, sys
kept = {}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/set/"):
            _, _, key, value = self.path.split("/")
            kept[key] = value
        body = json.dumps(kept).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

# Both ends send numbers without end and check what they get: a gap, a repetition or an error ends
# either. More is sent than a slow wire carries, so there is always some of it on the way; where the
# wire is none, a pause after each piece leaves time for others.
FLOOD = """
import os, socket, struct, sys, threading, time
role, address, *pause = sys.argv[1:]
end = (address, 7000)
if role == "listen":
    line, _ = socket.create_server(end).accept()
else:
    line = socket.create_connection(end)
def send():
    number = 0
    while True:
        line.sendall(struct.pack("<512Q", *range(number, number + 512)))
        number += 512
        for seconds in pause: time.sleep(float(seconds))
def receive():
    expected = 0
    with line.makefile("rb") as file:
        while True:
            (number,) = struct.unpack("<Q", file.read(8))
            if number != expected: os._exit(3)
            expected += 1
            if expected % 5000 == 0: print(expected, flush=True)
def or_end(work):
    try: work()
    finally: os._exit(4)
threading.Thread(target=or_end, args=(send,)).start()
or_end(receive)
"""
