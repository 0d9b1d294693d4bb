"""Where the programs of a group are, and where a checkpoint has their ends of connections.

Of members with parts in the same pool this is looked up there. What a program has to know of those
on other nodes their services exchange before a restore begins, and write into one file of the
group in the pool, which the next restore replaces. A checkpoint needs nothing of it. What is done
with it is not decided here.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mmsnap.errors import CorruptionError
from mmsnap.process import addresses, connections, image_file
from mmsnap.process.addresses import Address
from mmsnap.process.connections import Connection, image_connection
from mmsnap.process.manifest import Part, member_folder

_FOLDER: Final = "elsewhere"
# Of thousands of connections; more is nonsense, and is cut short.
_DECODED_MAX_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A member's addresses now, and its addresses and connections in a checkpoint."""

    member: str
    now: tuple[Address, ...]
    then: tuple[Address, ...] = ()
    connections: frozenset[Connection] = frozenset()


@dataclass(frozen=True, slots=True)
class Moves:
    """Where a member's sockets will be.

    Attributes:
        own: its addresses that are others now.
        group: those of all members, where these agree.
        inner: its connections of which a member has the other end, each with what becomes of it.
    """

    own: Mapping[str, str]
    group: Mapping[str, str]
    inner: Mapping[Connection, Connection]


def of_member(pool: Path, group: str, member: str, epoch: int) -> Whereabouts:
    """What this pool tells of a member; without a part of the epoch here: only where it is.

    Raises CorruptionError when its part can not be read.
    """
    folder = member_folder(pool, group, member)
    now = addresses.load(folder)
    part = Part(folder, epoch)
    if not part.exists:
        return Whereabouts(member, now)
    found = map(image_connection, image_file.files(part.images))
    return Whereabouts(
        member, now, part.load().addresses, frozenset(c for c in found if c is not None)
    )


def moves_of(member: str, everybody: Collection[Whereabouts]) -> Moves:
    """Each end goes where its owner went: two that shared an address may have parted.

    Raises:
        MmsnapError: it can not be told where an address went.
    """
    went = {w.member: addresses.moves(w.then, w.now) for w in everybody}
    # Its own last: a connection over loopback is its own, though another host has one of that name.
    ordered = sorted(everybody, key=lambda w: w.member == member)
    owners = {connection: w.member for w in ordered for connection in w.connections}
    inner = {
        connection: connection.moved(went[member], went[owners[connection.reversed]])
        for connection, owner in owners.items()
        if owner == member and connection.reversed in owners
    }
    return Moves(went[member], addresses.agreed(went.values()), inner)


# ---- of those on other nodes ----


def encode(whereabouts: Whereabouts) -> bytes:
    """For another node's service: ten thousand connections take about a tenth of a message."""
    return zlib.compress(json.dumps(_row(whereabouts)).encode())


def decode(data: bytes) -> Whereabouts:
    """What `encode` made; CorruptionError."""
    try:
        opened = zlib.decompressobj()
        return _whereabouts(json.loads(opened.decompress(data, _DECODED_MAX_BYTES)))
    except (zlib.error, ValueError, TypeError, KeyError) as error:
        raise CorruptionError(f"a node told nonsense of where a program is: {error}") from error


def note_elsewhere(pool: Path, group: str, others: Collection[Whereabouts]) -> None:
    """Writes down for this pool's programs where those of other nodes are, and no others."""
    file = pool / _FOLDER / f"{group}.json"
    if not others:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(exist_ok=True, mode=0o700)
    partial = file.with_suffix(".new")
    partial.write_text(json.dumps([_row(other) for other in others]))
    partial.rename(file)


def elsewhere(pool: Path, group: str) -> list[Whereabouts]:
    """What `note_elsewhere` wrote; nothing where all programs are on this node."""
    file = pool / _FOLDER / f"{group}.json"
    return [_whereabouts(row) for row in json.loads(file.read_text())] if file.exists() else []


def _row(whereabouts: Whereabouts) -> list[Any]:
    return [
        whereabouts.member,
        *([[a.interface, a.address] for a in some] for some in (whereabouts.now, whereabouts.then)),
        connections.rows(whereabouts.connections),
    ]


def _whereabouts(row: Any) -> Whereabouts:
    member, now, then, ends = row
    return Whereabouts(
        member,
        tuple(Address(*each) for each in now),
        tuple(Address(*each) for each in then),
        frozenset(connections.from_rows(ends)),
    )
