"""A cut in which one member does not do its part: the others run on, at once.

The troubled one is a peer that speaks the protocol; the others are real members, and
judge by the longest time in which they could not work.
"""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from mmsnap.errors import AbortedError, MmsnapError, PoolFullError
from mmsnap.group.messages import Kind
from tests.node.fake_member import FakeMember
from tests.node.pool_site import Site

_STEPS = ((Kind.QUIESCE, Kind.HELD), (Kind.CUT, Kind.CUT_DONE), (Kind.RESUME, Kind.SEALED))


@pytest.fixture
def pair(site: Site) -> Site:
    site.start_workers("a", "b")
    return site


@pytest.fixture
def odd(pair: Site) -> Iterator[FakeMember]:
    member = FakeMember(pair.address, "odd", on_loss="fresh")
    member.join()
    yield member
    member.close()


class Attempt(threading.Thread):
    """A checkpoint asked for on a thread of its own."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.site = site
        self.error: MmsnapError | None = None
        self.begun_ns = time.monotonic_ns()
        self.start()

    def run(self) -> None:
        try:
            self.site.client.checkpoint("g")
        except MmsnapError as error:
            self.error = error

    def failed_with(self, kind: type[MmsnapError], text: str) -> None:
        self.join(20)
        assert isinstance(self.error, kind), self.error
        assert text in str(self.error)
        assert self.site.client.checkpoints("g") == []

    def stalled(self, at_most: float) -> None:
        for worker in self.site.workers.values():
            stall = worker.longest_stall(self.begun_ns)
            assert stall < at_most, f"{worker.name} stood still for {stall:.3f} s"


def test_member_that_dies_while_quiescing(pair: Site, odd: FakeMember) -> None:
    attempt = Attempt(pair)
    epoch = odd.expect(Kind.BEGIN)
    odd.say(Kind.READY, epoch)
    odd.expect(Kind.QUIESCE)
    time.sleep(0.1)
    odd.socket.close()
    attempt.failed_with(AbortedError, "member odd at quiesce")
    attempt.stalled(0.5)
    pair.client.checkpoint("g")  # it was dropped (fresh): the others go on without it


def test_member_that_detaches_between_held_and_cut(pair: Site, odd: FakeMember) -> None:
    attempt = Attempt(pair)
    epoch = odd.expect(Kind.BEGIN)
    odd.say(Kind.READY, epoch)
    odd.expect(Kind.QUIESCE)
    odd.say(Kind.HELD, epoch)
    odd.expect(Kind.CUT)
    odd.say(Kind.BYE)
    attempt.failed_with(AbortedError, "member odd at ")
    attempt.stalled(0.5)
    pair.client.checkpoint("g")


def test_member_that_hangs_while_quiescing_is_named_within_the_budget(
    pair: Site, odd: FakeMember
) -> None:
    attempt = Attempt(pair)
    odd.say(Kind.READY, odd.expect(Kind.BEGIN))
    odd.expect(Kind.QUIESCE)
    attempt.failed_with(MmsnapError, "member odd at quiesce")
    odd.expect(Kind.ABORT)
    attempt.stalled(2.5)


def test_member_whose_lease_ended_voids_the_epoch_for_all(pair: Site, odd: FakeMember) -> None:
    attempt = Attempt(pair)
    epoch = odd.expect(Kind.BEGIN)
    odd.say(Kind.READY, epoch)
    odd.expect(Kind.QUIESCE)
    odd.say(Kind.HELD, epoch)
    odd.expect(Kind.CUT)
    odd.say(Kind.CUT_DONE, epoch)
    odd.expect(Kind.RESUME)
    odd.say(Kind.VOID, epoch)
    odd.expect(Kind.ABORT)
    attempt.failed_with(AbortedError, "member odd at resume: it ran on when its lease ended")


def test_member_without_room_is_told_as_a_full_pool(pair: Site, odd: FakeMember) -> None:
    attempt = Attempt(pair)
    epoch = odd.expect(Kind.BEGIN)
    odd.say(Kind.FAILED, epoch, (5, Kind.BEGIN))
    odd.expect(Kind.ABORT)
    attempt.failed_with(PoolFullError, "member odd at begin")
    attempt.stalled(0.5)


def test_member_that_talks_nonsense_in_the_cut_is_shut_out(pair: Site, odd: FakeMember) -> None:
    attempt = Attempt(pair)
    odd.say(Kind.READY, odd.expect(Kind.BEGIN))
    odd.expect(Kind.QUIESCE)
    odd.socket.send(b"\xff" * 192)
    attempt.failed_with(AbortedError, "member odd at quiesce")
    attempt.stalled(0.5)
    assert pair.client.members("g")


def test_member_killed_between_seal_and_commit_does_not_stop_the_commit(
    pair: Site, odd: FakeMember
) -> None:
    """Its part is complete; when it comes back in doubt, it is told that it was committed."""
    second = FakeMember(pair.address, "second", on_loss="wait")
    second.join()
    attempt = Attempt(pair)
    for member in (odd, second):
        member.say(Kind.READY, member.expect(Kind.BEGIN))
    for kind, answer in _STEPS:
        for member in (odd, second):
            epoch = member.expect(kind)
        for member in (odd, second) if answer is not Kind.SEALED else (second,):
            member.say(answer, epoch)
    second.close()
    pair.until(lambda: pair.states()["second"] == "lost", "its end was noticed")
    odd.say(Kind.SEALED, epoch)
    odd.expect(Kind.COMMIT)
    attempt.join(20)
    assert attempt.error is None
    again = FakeMember(pair.address, "second", on_loss="wait")
    assert epoch in again.admission.committed_epochs
    again.hello(in_doubt=epoch)
    assert again.expect(Kind.WELCOME, Kind.COMMIT) == epoch
    again.close()


def test_member_in_doubt_about_an_aborted_epoch_is_told_so(pair: Site, odd: FakeMember) -> None:
    attempt = Attempt(pair)
    epoch = odd.expect(Kind.BEGIN)
    odd.say(Kind.READY, epoch)
    odd.expect(Kind.QUIESCE)
    odd.close()
    attempt.failed_with(AbortedError, "member odd at quiesce")
    again = FakeMember(pair.address, "odd", on_loss="fresh")
    again.hello(in_doubt=epoch)
    assert again.expect(Kind.WELCOME, Kind.ABORT) == epoch
    again.close()


@pytest.mark.parametrize(
    "strange",
    [
        lambda member: member.hello(token=12345),
        lambda member: member.hello(token=0),
        lambda member: member.say(Kind.READY, 1),
        lambda member: member.say(Kind.BEGIN, 1),
        lambda member: member.socket.send(b"short"),
        lambda member: member.socket.send(b"x" * 4096),
    ],
    ids=["unknown token", "no token", "no hello", "an order", "too short", "too long"],
)
def test_stranger_on_the_members_socket_is_shut_out(
    site: Site, strange: Callable[[FakeMember], None]
) -> None:
    stranger = FakeMember(site.address, "stranger")
    strange(stranger)
    assert stranger.hear() == (Kind.BYE, 0)
    stranger.close()
    assert site.client.members() == []
