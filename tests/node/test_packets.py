"""The packets are the C core's mm_message, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest

from mmsnap.group import messages as m
from mmsnap.memory._native import ffi, lib
from mmsnap.node.packets import SIZE_BYTES, PacketError, decode, encode, heading, with_token

TOKEN = 0xFEDC_BA98_7654_3210


def in_c(packet: bytes) -> Any:
    message = ffi.new("mm_message *")
    ffi.buffer(message)[:] = packet
    return message


def from_c(kind: int, epoch: int, words: list[int], text: bytes = b"") -> bytes:
    message = ffi.new(
        "mm_message *",
        {"magic": 0x31534D4D, "kind": kind, "epoch": epoch, "token": TOKEN, "word": words},
    )
    message.text = text
    return bytes(ffi.buffer(message))


def test_kinds_and_size_are_those_of_the_header() -> None:
    assert ffi.sizeof("mm_message") == SIZE_BYTES
    for kind in m.Kind:
        assert getattr(lib, f"MM_MSG_{kind.name}") == kind


@pytest.mark.parametrize(
    ("order", "kind", "epoch", "lease_ns", "words", "text"),
    [
        (m.Welcome(), "WELCOME", 0, 0, [], b""),
        (m.Begin(7, "daily", True, 5), "BEGIN", 7, 0, [1, 5], b"daily"),
        (m.Begin(7, "", True, 5, unasked=True), "BEGIN", 7, 0, [1 | 1 << 16, 5], b""),
        (m.Quiesce(7, 2, 3), "QUIESCE", 7, 2, [3], b""),
        (m.Quiesce(7, 2, 3, cut=True, max_pause_ns=4), "QUIESCE", 7, 2, [3, 1, 4], b""),
        (m.Cut(7, 2, 9), "CUT", 7, 2, [9], b""),
        (m.Resume(7), "RESUME", 7, 0, [], b""),
        (m.Commit(7), "COMMIT", 7, 0, [], b""),
        (m.Abort(7), "ABORT", 7, 0, [], b""),
        (m.Restore(8, 2, 5, 7), "RESTORE", 8, 2, [5, 7], b""),
        (m.Delete(5), "DELETE", 0, 0, [5], b""),
        (m.Renew(7, 2), "RENEW", 7, 2, [], b""),
        (m.Pin(5, True), "PIN", 0, 0, [5, 1], b""),
    ],
)
def test_order_reads_the_same_in_c(
    order: m.Order, kind: str, epoch: int, lease_ns: int, words: list[int], text: bytes
) -> None:
    message = in_c(encode(order, TOKEN))
    assert message.kind == getattr(lib, f"MM_MSG_{kind}")
    assert (message.magic, message.token) == (0x31534D4D, TOKEN)
    assert (message.epoch, message.lease_ns) == (epoch, lease_ns)
    assert list(message.word) == words + [0] * (8 - len(words))
    assert ffi.string(message.text) == text


@pytest.mark.parametrize(
    ("kind", "words", "report"),
    [
        ("HELLO", [11, 12, 13], m.Hello(11, 12, 13)),
        ("READY", [1, 2], m.Ready(7, 1, 2)),
        ("HELD", [3], m.Held(7, 3)),
        ("HELD", [3, 1], m.Held(7, 3, copying=True)),
        ("CUT_DONE", [1, 2, 3], m.CutDone(7, 1, 2, 3)),
        ("CUT_DONE", [1, 2, 3, 4], m.CutDone(7, 1, 2, 3, 4)),
        ("SEALED", [1, 2, 3, 1, 5], m.Sealed(7, 1, 2, 3, True, 5)),
        ("VOID", [], m.Void(7)),
        ("DONE", [8], m.Done(7, 8)),
        ("FAILED", [5, 4], m.Failed(7, 4, 5, "no room")),
        ("BYE", [], m.Bye()),
    ],
)
def test_report_from_c_is_understood(kind: str, words: list[int], report: m.Report) -> None:
    packet = from_c(getattr(lib, f"MM_MSG_{kind}"), 7, words, b"no room")
    assert decode(packet) == (TOKEN, report)


def test_what_is_no_report_is_refused() -> None:
    packet = from_c(lib.MM_MSG_HELD, 7, [3])
    for broken in (b"", packet[:-1], packet + b"x", b"x" + packet[1:]):
        with pytest.raises(PacketError):
            decode(broken)
    for kind in (0, lib.MM_MSG_CUT, 32, 42, 65535):
        with pytest.raises(PacketError):
            decode(from_c(kind, 7, []))


def test_text_that_does_not_fit_is_refused_not_cut() -> None:
    with pytest.raises(PacketError):
        encode(m.Begin(1, "x" * 96, False, 0), TOKEN)


def test_what_a_member_says_is_passed_on_as_its_own_whatever_token_it_wrote() -> None:
    said = from_c(lib.MM_MSG_HELD, 7, [3])
    passed_on = with_token(said, 5)
    assert heading(passed_on) == (7, 5)
    assert decode(passed_on) == (5, m.Held(7, 3))
    assert decode(with_token(passed_on, TOKEN)) == decode(said)


def test_what_is_no_packet_is_not_passed_on() -> None:
    packet = from_c(lib.MM_MSG_CUT, 7, [3])
    for broken in (b"", packet[:-1], packet + b"x", b"x" + packet[1:]):
        with pytest.raises(PacketError):
            heading(broken)
