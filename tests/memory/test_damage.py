"""The fear: damaged bytes shown as good ones, or good ones lost with the damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmsnap.errors import CorruptionError, FormatVersionError
from mmsnap.memory import Region
from tests.memory import damage


@pytest.mark.parametrize("seed", range(3))
def test_any_damaged_file_is_healed_or_named(pool: Path, seed: int) -> None:
    damage.hunt(pool, seed, tries=40)


def test_damage_names_the_file_the_checkpoint_and_what_to_do(pool: Path) -> None:
    damage.make(pool)
    base = pool / "regions" / "r" / "base"
    content = bytearray(base.read_bytes())
    content[3 * 4096 + 1] ^= 1
    base.write_bytes(content)
    region = Region.open(pool, "r")
    with pytest.raises(CorruptionError) as raised:
        region.verify()
    message = str(raised.value)
    assert "base is damaged: page 3" in message
    assert region.checkpoints()[-1].name in message
    assert "mmsnap checkpoint verify" in message
    assert not raised.value.retryable
    region.close()


def test_a_newer_format_says_so(pool: Path) -> None:
    damage.make(pool)
    for name in ("region", "region.copy"):
        path = pool / "regions" / "r" / name
        header = bytearray(path.read_bytes())
        header[8] += 1
        header[-4:] = checksum(bytes(header[:-4])).to_bytes(4, "little")
        path.write_bytes(header)
    for mode in ("a", "r+", "r"):
        with pytest.raises(FormatVersionError, match="format version 2"):
            Region.open(pool, "r", mode=mode)


def checksum(content: bytes) -> int:
    """CRC32C, bit by bit, as the format prescribes."""
    state = 0xFFFFFFFF
    for byte in content:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF
