"""The fear: whoever reaches the port of links stops members, or keeps the thread of the cut."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from mmsnap.group.messages import Cut, Failed, Hello
from mmsnap.node.frames import BODY_MAX_BYTES, Frame, FrameError, Lost, Ping, encode_frame
from mmsnap.node.link import UNSENT_MAX_BYTES, Link
from mmsnap.node.link_door import ARRIVING_MAX, Invitation, LinkDoor, open_link
from mmsnap.node.link_tls import LinkTls
from mmsnap.node.packets import encode
from mmsnap.node.switchboard import Switchboard
from mmsnap.node.tls import TlsFiles

HOST = "127.0.0.1"
REFUSED = (ssl.SSLError, ConnectionError)


@dataclass
class Site:
    """An authority, and the folder of its certificates."""

    folder: Path
    authority: trustme.CA

    def tls(
        self, name: str, by: trustme.CA | None = None, not_after: datetime | None = None
    ) -> LinkTls:
        """The certificates of one, who trusts the authority whoever made its own."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        files = TlsFiles(folder / "ca.crt", folder / "tls.crt", folder / "tls.key")
        made = (by or self.authority).issue_cert(HOST, common_name=name, not_after=not_after)
        self.authority.cert_pem.write_to_path(files.authority)
        made.private_key_pem.write_to_path(files.key)
        files.certificate.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
        return LinkTls(files)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, trustme.CA())


async def come(door: LinkDoor, invitation: Invitation, tls: LinkTls) -> ssl.SSLSocket:
    return await open_link(HOST, door.port, invitation.token, "n1", tls)


def test_only_who_was_asked_comes_in_and_once(site: Site) -> None:
    async def work() -> None:
        door = LinkDoor(HOST, 0, site.tls("n1"))
        with door.invitation("n2") as invitation:
            foreign = site.tls("n2", by=trustme.CA())
            yesterday = datetime.now(UTC) - timedelta(days=1)
            expired = site.tls("n2", not_after=yesterday)
            for wrong in (foreign, site.tls("n3"), expired):
                with pytest.raises(REFUSED):
                    await come(door, invitation, wrong)
            ours = site.tls("n2")
            with pytest.raises(REFUSED):
                await open_link(HOST, door.port, bytes(32), "n1", ours)
            mine = await come(door, invitation, ours)
            theirs = await invitation.accepted()
            with mine, theirs, pytest.raises(REFUSED):
                await come(door, invitation, ours)
        with door.invitation("n2") as late:
            pass
        with pytest.raises(REFUSED):
            await come(door, late, ours)
        await door.close()

    asyncio.run(work())


def test_nobody_is_told_orders_who_is_not_that_node(site: Site) -> None:
    """The port of one that was taken over by another one with a certificate."""

    async def work() -> None:
        door = LinkDoor(HOST, 0, site.tls("n9"))
        with door.invitation("n2") as invitation, pytest.raises(PermissionError, match="n9"):
            await come(door, invitation, site.tls("n2"))
        await door.close()

    asyncio.run(work())


def test_a_crowd_of_silent_strangers_keeps_nobody_out(site: Site) -> None:
    async def work() -> None:
        door = LinkDoor(HOST, 0, site.tls("n1"))
        crowd = [socket.create_connection((HOST, door.port)) for _ in range(2 * ARRIVING_MAX)]
        await asyncio.sleep(0.3)
        with door.invitation("n2") as invitation:
            mine = await come(door, invitation, site.tls("n2"))
            mine.close()
            (await invitation.accepted()).close()
        crowd[0].settimeout(1)
        assert crowd[0].recv(1) == b"", "who was there longest went first"
        await door.close()
        for each in crowd:
            each.close()

    asyncio.run(work())


def test_certificates_are_read_again_when_they_change(site: Site) -> None:
    async def work() -> None:
        tls = site.tls("n1")
        door = LinkDoor(HOST, 0, tls)
        other = Site(site.folder / "renewed", trustme.CA())
        other.folder.mkdir()
        with door.invitation("n2") as invitation:
            with pytest.raises(REFUSED):
                await come(door, invitation, other.tls("n2"))
            (site.folder / "n1" / "ca.crt").write_text("nonsense")
            (await come(door, invitation, site.tls("n2"))).close()
        files = site.folder / "n1" / "ca.crt"
        files.write_bytes(site.authority.cert_pem.bytes() + other.authority.cert_pem.bytes())
        newer = site.tls("n2", by=other.authority)
        with door.invitation("n2") as invitation:
            (await come(door, invitation, newer)).close()
        await door.close()

    asyncio.run(work())


class Ends:
    """Both ends of a link: ours is a Link, theirs does what it wants."""

    def __init__(self, ours: ssl.SSLSocket, theirs: ssl.SSLSocket) -> None:
        self.heard: list[Frame] = []
        self.broke: list[str] = []
        self.link = Link(ours, self.heard.append, self.broke.append)
        self.theirs = theirs
        theirs.setblocking(True)
        for end in (ours.fileno(), theirs.fileno()):
            # So that the kernel keeps little, and there is soon no room.
            with socket.socket(fileno=os.dup(end)) as raw:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)

    def hear(self) -> None:
        """What has come within a second."""
        deadline = time.monotonic() + 1
        while not self.heard and not self.link.broken and time.monotonic() < deadline:
            self.link.receive()


@pytest.fixture
def ends(site: Site) -> Iterator[Ends]:
    async def work() -> Ends:
        door = LinkDoor(HOST, 0, site.tls("n1"))
        with door.invitation("n2") as invitation:
            theirs = await come(door, invitation, site.tls("n2"))
            ours = await invitation.accepted()
        await door.close()
        return Ends(ours, theirs)

    made = asyncio.run(work())
    yield made
    made.theirs.close()
    if not made.broke:
        made.link.close()


def test_a_frame_that_is_too_long_ends_the_link_before_it_has_come(ends: Ends) -> None:
    ends.theirs.sendall((BODY_MAX_BYTES + 1).to_bytes(2, "little") + b"\x01")
    ends.hear()
    assert "sent nonsense" in ends.link.broken


@pytest.mark.parametrize(
    "nonsense",
    [b"\x00\x00\x63", b"\x05\x00\x01short", b"\x01\x00\x02x", b"\x02\x00\x05no"],
    ids=["kind", "packet", "lost", "ping"],
)
def test_nonsense_ends_the_link(ends: Ends, nonsense: bytes) -> None:
    ends.theirs.sendall(nonsense)
    ends.hear()
    assert "sent nonsense" in ends.link.broken
    assert not ends.heard


def test_what_is_heard_after_nonsense_is_heard_no_more(ends: Ends) -> None:
    ends.theirs.sendall(encode_frame(Ping()) + b"\x00\x00\x63" + encode_frame(Lost(1)))
    ends.hear()
    assert ends.heard == [Ping()]


def test_frames_in_pieces_are_heard_whole(ends: Ends) -> None:
    packet = encode(Cut(1, 2, 3), 4)
    for byte in encode_frame(packet) + encode_frame(Lost(7))[:5]:
        ends.theirs.sendall(bytes([byte]))
    ends.hear()
    assert ends.heard == [packet]
    ends.theirs.close()
    ends.heard.clear()
    ends.hear()
    assert ends.link.broken == "connection ended"
    assert not ends.heard


def test_a_peer_that_reads_nothing_takes_no_time_and_loses_the_link(ends: Ends) -> None:
    packet, longest, sent = encode(Cut(1, 2, 3), 4), 0.0, 0
    while not ends.link.broken:
        begun = time.monotonic()
        ends.link.send(packet)
        ends.link.flush()
        longest = max(longest, time.monotonic() - begun)
        sent += 1
        assert sent < 1_000_000, "it takes whatever it is given"
    assert "does not read" in ends.link.broken
    assert sent * len(packet) >= UNSENT_MAX_BYTES
    assert longest < 0.5


def test_who_reads_late_hears_all_in_order(ends: Ends) -> None:
    """More than the kernel takes at once: the rest waits, and goes when there is room."""
    count = 0
    while not ends.link.is_waiting:
        for _ in range(100):
            ends.link.send(Lost(count))
            count += 1
        ends.link.flush()
    for _ in range(100):
        ends.link.send(Lost(count))
        count += 1
    size = len(encode_frame(Lost(0)))
    ends.theirs.settimeout(0.01)
    got = b""
    while len(got) < count * size:
        ends.link.flush()
        with suppress(TimeoutError):
            got += ends.theirs.recv(1 << 16)
    assert got == b"".join(encode_frame(Lost(n)) for n in range(count))
    assert not ends.link.is_waiting


def test_a_frame_that_has_no_place_ends_the_link(ends: Ends) -> None:
    def hear(frame: Frame) -> None:
        raise FrameError("not here")

    link = Link(ends.link._connection, hear, ends.broke.append)
    ends.theirs.sendall(encode_frame(Ping()))
    deadline = time.monotonic() + 1
    while not link.broken and time.monotonic() < deadline:
        link.receive()
    assert "not here" in link.broken


class Nobody:
    """Whom the switchboard would tell of members: there are none."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def greeted(self, token: int, hello: Hello, pid: int) -> None: ...
    def ended(self, token: int, said_bye: bool, reason: str, epoch: int) -> None: ...
    def failed(self, token: int, report: Failed) -> None: ...
    def broke(self, error: Exception) -> None:
        self.error = error


def test_the_switchboard_says_the_rest_when_there_is_room(ends: Ends, tmp_path: Path) -> None:
    nobody = Nobody()
    switchboard = Switchboard(tmp_path / "members.sock", nobody)
    switchboard.start()
    switchboard.post(lambda: switchboard.join(ends.link))
    count = 0
    while not (ends.link.is_waiting and count > 50_000):
        frames = [Lost(n) for n in range(count, count + 1000)]
        count += 1000
        said = threading.Event()
        switchboard.post(lambda frames=frames, said=said: say(ends.link, frames, said))
        assert said.wait(5)
        time.sleep(0.001)
    size = len(encode_frame(Lost(0)))
    ends.theirs.settimeout(5)
    got, begun = b"", time.monotonic()
    while len(got) < count * size:
        got += ends.theirs.recv(1 << 16)
    assert time.monotonic() - begun < 5, "it looks when there is room, not now and then"
    assert got == b"".join(encode_frame(Lost(n)) for n in range(count))
    ends.theirs.close()
    deadline = time.monotonic() + 5
    while not ends.broke and time.monotonic() < deadline:
        time.sleep(0.01)
    switchboard.stop()
    assert ends.broke == ["connection ended"], "told once"
    assert nobody.error is None


def say(link: Link, frames: list[Lost], said: threading.Event) -> None:
    for frame in frames:
        link.send(frame)
    said.set()
