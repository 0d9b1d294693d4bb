"""Frames come whole out of the socket, however it cuts them, and nonsense is told from them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsnap.pods.nri import mux, ttrpc
from mmsnap.pods.nri.framing import ProtocolError, Splitter

NUMBERS = st.integers(0, 2**32 - 1)
PAYLOADS = st.binary(max_size=300)


def in_pieces(splitter: Splitter, data: bytes, cuts: list[int]) -> list[tuple[bytes, bytes]]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [frame for a, b in pairwise(places) for frame in splitter.feed(data[a:b])]


@settings(deadline=None)
@given(st.lists(st.tuples(NUMBERS, PAYLOADS)), st.lists(st.integers(0, 10_000)))
def test_frames_of_the_mux_survive_any_cut(
    frames: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    data = b"".join(mux.frame(connection, payload) for connection, payload in frames)
    got = in_pieces(mux.frame_splitter(), data, cuts)
    assert [(mux.connection_of(header), payload) for header, payload in got] == frames


@settings(deadline=None)
@given(
    st.lists(st.tuples(NUMBERS, st.integers(0, 255), PAYLOADS, st.integers(0, 255))),
    st.lists(st.integers(0, 10_000)),
)
def test_messages_of_ttrpc_survive_any_cut(
    messages: list[tuple[int, int, bytes, int]], cuts: list[int]
) -> None:
    data = b"".join(ttrpc.message(*message) for message in messages)
    got = in_pieces(ttrpc.message_splitter(), data, cuts)
    assert [(*ttrpc.read_header(header)[:2], body, header[9]) for header, body in got] == messages


def test_a_byte_at_a_time_is_enough() -> None:
    data = mux.frame(1, b"one") + mux.frame(2, b"") + mux.frame(3, b"three")
    got = in_pieces(mux.frame_splitter(), data, list(range(len(data))))
    assert [payload for _, payload in got] == [b"one", b"", b"three"]


@settings(deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_garbage_is_refused_or_taken_for_what_it_spells(data: bytes, cuts: list[int]) -> None:
    for splitter in mux.frame_splitter(), ttrpc.message_splitter():
        got = []
        try:
            got = in_pieces(splitter, data, cuts)
        except ProtocolError:
            continue
        assert data.startswith(b"".join(header + payload for header, payload in got))


@pytest.mark.parametrize("announced", [(4 << 20) + 11, 2**31, 2**32 - 1])
def test_a_huge_frame_is_refused_before_it_is_awaited(announced: int) -> None:
    header = (1).to_bytes(4, "big") + announced.to_bytes(4, "big")
    with pytest.raises(ProtocolError, match=f"{announced} bytes"):
        list(mux.frame_splitter().feed(header))


def test_the_largest_message_passes() -> None:
    message = ttrpc.message(1, ttrpc.REQUEST, bytes(ttrpc.MAX_DATA_BYTES))
    frames = list(mux.frame_splitter().feed(mux.frame(1, message)))
    ((_, body),) = ttrpc.message_splitter().feed(frames[0][1])
    assert len(body) == ttrpc.MAX_DATA_BYTES
    header = (ttrpc.MAX_DATA_BYTES + 1).to_bytes(4, "big") + bytes(6)
    with pytest.raises(ProtocolError):
        list(ttrpc.message_splitter().feed(header))


def test_the_bytes_are_those_of_the_published_layouts() -> None:
    assert mux.frame(2, b"hi").hex() == "00000002000000026869"
    assert ttrpc.message(3, ttrpc.REQUEST, b"hi").hex() == "000000020000000301006869"


@settings(deadline=None)
@given(st.integers(0, 20_000))
def test_a_message_is_framed_so_that_containerd_can_read_it(length: int) -> None:
    """A read of containerd's takes a whole frame, or breaks the connection where it has no room.

    Its reader buffers 4096 bytes, and reads past the buffer only for what is missing of a message.
    """
    message = bytes(length)
    missing = length
    for _, payload in mux.frame_splitter().feed(mux.frames_of_message(1, message)):
        room = 4096 if missing == length else max(4096, missing)
        assert len(payload) <= room
        missing -= len(payload)
    assert missing == 0
