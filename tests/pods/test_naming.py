"""Two workloads never share a group, two containers never a member, and every name is allowed."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from mmsnap.node.bounds import check_label
from mmsnap.pods.naming import group_of, is_readable, member_of

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
# Few letters, so that parts which make up the same whole are found.
CROWDED = st.from_regex(r"[ab]([ab-]{0,6}[ab])?", fullmatch=True)
SUBDOMAIN = st.lists(LABEL | CROWDED, min_size=1, max_size=4).map(".".join)
Owned = tuple[str, str]


def pairs(
    first: st.SearchStrategy[str], second: st.SearchStrategy[str]
) -> st.SearchStrategy[Owned]:
    return st.tuples(first | CROWDED, second | CROWDED)


@given(pairs(LABEL, SUBDOMAIN), pairs(LABEL, SUBDOMAIN))
@example(("a", "b--c"), ("a--b", "c"))
@example(("a", "b.c"), ("a", "b-c"))
@example(("a" * 63, "b"), ("a" * 63, "c"))
def test_no_two_workloads_share_a_group(one: Owned, other: Owned) -> None:
    names = [group_of(*one), group_of(*other)]
    for name in names:
        check_label("group", name)
    assert (names[0] == names[1]) == (one == other)


def member(pod: str, container: str | None) -> str:
    return member_of(pod, container or "any", first=container is None)


@given(
    pairs(SUBDOMAIN, LABEL) | st.tuples(SUBDOMAIN | CROWDED, st.none()),
    pairs(SUBDOMAIN, LABEL) | st.tuples(SUBDOMAIN | CROWDED, st.none()),
)
@example(("a--b", None), ("a", "b"))
@example(("a--b", "c"), ("a", "b--c"))
@example(("a.b", None), ("a-b", None))
def test_no_two_containers_share_a_member(
    one: tuple[str, str | None], other: tuple[str, str | None]
) -> None:
    names = [member(*one), member(*other)]
    for name in names:
        check_label("member", name)
    assert (names[0] == names[1]) == (one == other)


@given(pairs(LABEL, LABEL))
def test_a_hashed_name_is_told_from_every_readable_one(parts: Owned) -> None:
    assert is_readable(*parts) == (not re.search(r"---[a-z2-7]{24}\Z", group_of(*parts)))


def test_usual_names_are_readable() -> None:
    assert group_of("demo", "hz") == "demo--hz"
    assert member_of("hz-0", "hazelcast", first=True) == "hz-0"
    assert member_of("hz-0", "exporter", first=False) == "hz-0--exporter"


def test_long_names_are_as_they_always_were() -> None:
    # A change of these would part running pods from their checkpoints.
    assert group_of("demo", "a.b") == "demo-a-b---5mjio6e4kdz4lbvwsbwork5d"
