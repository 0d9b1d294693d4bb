"""A member for the tests that answers what the test says: a peer of the protocol.

It attaches over gRPC and speaks the members' socket, without any memory behind it.
"""

from __future__ import annotations

import os
import socket
import struct
import time

from mmsnap.group.messages import Kind
from mmsnap_sdk import calls
from mmsnap_sdk.client import Client
from mmsnap_sdk.service_records import Application, OnLoss

MESSAGE = struct.Struct("<IHHQQQ8Q96s")
MAGIC = 0x31534D4D


class FakeMember:
    def __init__(self, address: str, name: str, on_loss: OnLoss = "rollback") -> None:
        self.client = Client(address)
        self.admission = self.client.ask(calls.attach(Application("g", name, 1 << 20, on_loss)))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(10)
        self.socket.connect(self.admission.socket)

    def hello(self, in_doubt: int = 0, token: int | None = None) -> None:
        token = self.admission.token if token is None else token
        self.say(Kind.HELLO, token=token, words=(os.getpid(), in_doubt, 0))

    def say(self, kind: Kind, epoch: int = 0, words: tuple[int, ...] = (), token: int = 0) -> None:
        padded = (*words, *(0,) * (8 - len(words)))
        self.socket.send(MESSAGE.pack(MAGIC, kind, 0, epoch, token, 0, *padded, b""))

    def hear(self) -> tuple[Kind, int]:
        """Kind and epoch of the next order; (BYE, 0) when the service hung up."""
        packet = self.socket.recv(500)
        if not packet:
            return Kind.BYE, 0
        _, kind, _, epoch, *_ = MESSAGE.unpack(packet)
        return Kind(kind), epoch

    def expect(self, *kinds: Kind) -> int:
        """Hear exactly these orders, renewals apart; the epoch of the last."""
        epoch = 0
        for kind in kinds:
            heard, epoch = self.hear()
            while heard is Kind.RENEW:
                heard, epoch = self.hear()
            assert heard is kind, f"heard {heard.name}, not {kind.name}"
        return epoch

    def join(self) -> None:
        self.hello()
        self.expect(Kind.WELCOME)
        deadline = time.monotonic() + 10
        while self._state() != "attached":
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def close(self) -> None:
        self.socket.close()
        self.client.close()

    def _state(self) -> str:
        name = self.admission.region.split(".")[1]
        return next((m.state for m in self.client.members("g") if m.member == name), "")
