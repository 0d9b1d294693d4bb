"""The fear: a connection is given to the wrong peer, or taken for an outsider's, after a move."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmsnap.errors import CorruptionError, MmsnapError
from mmsnap.process.addresses import Address
from mmsnap.process.connections import Connection, End
from mmsnap.process.whereabouts import (
    Whereabouts,
    decode,
    elsewhere,
    encode,
    moves_of,
    note_elsewhere,
)


def at(*addresses: str) -> tuple[Address, ...]:
    return tuple(Address("eth0", address) for address in addresses)


def between(local: str, local_port: int, remote: str, remote_port: int) -> Connection:
    return Connection(End(local, local_port), End(remote, remote_port))


LINE = between("10.0.0.2", 40001, "10.0.0.1", 7000)


def test_two_that_shared_an_address_may_part() -> None:
    other = between("10.0.0.2", 40002, "10.0.0.1", 7000)
    server = Whereabouts(
        "server", at("10.0.0.1"), at("10.0.0.1"), frozenset({LINE.reversed, other.reversed})
    )
    here = Whereabouts("here", at("10.0.0.1"), at("10.0.0.2"), frozenset({LINE}))
    there = Whereabouts("there", at("10.0.0.3"), at("10.0.0.2"), frozenset({other}))
    moves = moves_of("server", [here, there, server])
    assert moves.inner == {
        LINE.reversed: between("10.0.0.1", 7000, "10.0.0.1", 40001),
        other.reversed: between("10.0.0.1", 7000, "10.0.0.3", 40002),
    }
    assert moves_of("there", [server, there, here]).inner == {
        other: between("10.0.0.3", 40002, "10.0.0.1", 7000)
    }
    assert "10.0.0.2" not in moves.group, "it went to two places"


def test_a_connection_over_loopback_is_its_own_host_s() -> None:
    inside = between("127.0.0.1", 5000, "127.0.0.1", 6000)
    both = frozenset({inside, inside.reversed})
    one, two = (Whereabouts(m, at(f"10.0.0.{m}"), (), both) for m in "12")
    for member in "12":
        assert moves_of(member, [one, two]).inner == {c: c for c in both}


def test_where_an_address_went_is_not_guessed() -> None:
    moved = Whereabouts("m", at("10.0.0.8", "10.0.0.9"), at("10.0.0.2"), frozenset({LINE}))
    with pytest.raises(MmsnapError, match=r"not clear whether 10\.0\.0\.8 or 10\.0\.0\.9"):
        moves_of("m", [moved])


def test_what_is_noted_is_of_the_last_restore_only(tmp_path: Path) -> None:
    one = Whereabouts("one", at("10.0.0.1"), at("10.0.0.2"), frozenset({LINE}))
    note_elsewhere(tmp_path, "g", [decode(encode(one)), Whereabouts("two", ())])
    assert elsewhere(tmp_path, "g") == [one, Whereabouts("two", ())]
    assert elsewhere(tmp_path, "other") == []
    note_elsewhere(tmp_path, "g", [])
    assert elsewhere(tmp_path, "g") == []
    with pytest.raises(CorruptionError):
        decode(b"nonsense")
