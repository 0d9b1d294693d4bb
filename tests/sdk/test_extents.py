"""The allocator must never hand out a byte twice, nor forget a free one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsnap_sdk.extents import Extents, OverlapError

END = 64
Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["allocate", "release", "discard", "extend"]),
        st.integers(0, END),
        st.integers(1, 16),
    ),
    max_size=40,
)


@given(steps)
def test_against_a_set_of_free_bytes(steps: list[Step]) -> None:
    extents, free, used = Extents(0, END), set(range(END)), list[tuple[int, int]]()
    for verb, offset, size in steps:
        if verb == "allocate":
            found = extents.first_fit(size)
            fits = [at for at in range(extents.end) if set(range(at, at + size)) <= free]
            assert found == (fits[0] if fits else None)
            if found is not None:
                extents.take(found, size)
                free -= set(range(found, found + size))
                used.append((found, size))
        elif verb == "release" and used:
            found, size = used.pop(offset % len(used))
            extents.release(found, size)
            free |= set(range(found, found + size))
        elif verb == "discard":
            extents.discard(offset, size)
            free -= set(range(offset, offset + size))
        elif verb == "extend":
            free |= set(range(extents.end, extents.end + size))
            extents.extend(extents.end + size)
    runs = {at: extents.free_at(at) for at in range(extents.end) if extents.free_at(at)}
    assert {byte for at, size in runs.items() for byte in range(at, at + size)} == free
    assert not any(at + size in runs for at, size in runs.items()), "neighbours are not merged"
    tail = next((n for n in range(END * 20) if extents.end - 1 - n not in free), 0)
    assert extents.free_at_end() == tail


@given(st.lists(st.tuples(st.integers(0, END), st.integers(1, 16)), max_size=5))
def test_complement_is_what_is_not_used_or_an_error(used: list[tuple[int, int]]) -> None:
    taken = [byte for offset, size in used for byte in range(offset, offset + size)]
    if len(set(taken)) < len(taken) or any(byte >= END for byte in taken):
        with pytest.raises(OverlapError):
            Extents.complement(0, END, used)
    else:
        free = Extents.complement(0, END, used)
        found = {b for at in range(END) for b in range(at, at + free.free_at(at))}
        assert found == set(range(END)) - set(taken)
