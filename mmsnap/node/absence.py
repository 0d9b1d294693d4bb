"""When a node does not answer: who may say that it is down, and what follows.

That a node does not answer does not mean that it does not run. A program that shuts it off is a
proof; without one, a person has to vouch for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from mmsnap.catalog import MemberState
from mmsnap.errors import AbortedError, InUseError, MmsnapError, UnsupportedError
from mmsnap.node.groups import Groups
from mmsnap.node.logs import about
from mmsnap.node.losses import note_loss, pay

log = logging.getLogger(__name__)

_FENCE_SECONDS = 60.0
# Each waits as long as a turn may take.
_TRIES = 3


async def declare_down(
    groups: Groups, node: str, *, force: bool, fence_command: Sequence[str]
) -> None:
    """Takes a node's members for lost, so that they may be restored elsewhere.

    Raises:
        InUseError: it answers. NotFoundError: there is no such node.
        AbortedError: nothing proves that it is down, and `force` was not given; or it is told as
            down, and some groups did not take its members for lost: to be asked again.
    """
    mesh, ledger = groups.desk.mesh, groups.desk.ledger
    if mesh is None:
        raise UnsupportedError("this service is no node of several")
    if await mesh.answers(node):
        raise InUseError(
            f"node {node} answers: it is not down", subject=node, hint="stop its service first"
        )
    if not await _is_shut_off(node, fence_command) and not force:
        raise AbortedError(
            f"node {node} does not answer, which does not prove that it does not run",
            subject=node,
            hint="if its members still ran, there would be two of each: make sure that the machine "
            "is off, then use --force; or give the services a --fence-command",
            retryable=False,
        )
    await ledger.ask(ledger.catalog.set_node_down, node)
    log.warning("node %s is down", node)
    rows = await ledger.ask(ledger.catalog.members)
    await _take_all_for_lost(groups, sorted({row.group for row in rows if row.node == node}), node)


async def remove_node(groups: Groups, node: str) -> None:
    """Forgets a node that is down for good; what it had is copied anew from others.

    InUseError while it is not known to be down, NotFoundError.
    """
    ledger = groups.desk.ledger
    nodes = await ledger.ask(ledger.catalog.nodes)
    if node in nodes and not nodes[node].down:
        raise InUseError(
            f"node {node} is not known to be down", subject=node, hint=f"mmsnap node down {node}"
        )
    await ledger.ask(ledger.catalog.drop_node, node)
    if groups.desk.replicas is not None:
        groups.desk.replicas.wake()


async def _is_shut_off(node: str, command: Sequence[str]) -> bool:
    if not command:
        return False
    process = await asyncio.create_subprocess_exec(*command, node, start_new_session=True)
    try:
        code = await asyncio.wait_for(process.wait(), _FENCE_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        code = -1
    if code:
        log.error("%s could not shut node %s off: it ended with %d", command[0], node, code)
    return code == 0


async def _take_all_for_lost(groups: Groups, names: Sequence[str], node: str) -> None:
    """One group that is busy keeps no other waiting; nobody else would do it later."""
    failures: dict[str, MmsnapError] = {}
    for _ in range(_TRIES):
        for name in names:
            try:
                await _take_for_lost(groups, name, node)
                failures.pop(name, None)
            except MmsnapError as error:
                log.warning("not lost yet: %s", error, extra=about(name, 0, peer=node))
                failures[name] = error
        names = tuple(failures)
    if failures:
        name, failure = next(iter(failures.items()))
        raise AbortedError(
            f"node {node} is down, but its members are not taken for lost yet in "
            f"{', '.join(failures)}: {failure.message}",
            subject=name,
            hint="ask again",
        ) from failure


async def _take_for_lost(groups: Groups, name: str, node: str) -> None:
    """As if the connections of its members had ended without a word."""
    group = groups.group(name)
    ledger = groups.desk.ledger
    async with group.turn():
        for row in await ledger.ask(ledger.catalog.members, name):
            if row.node == node and row.state is MemberState.ATTACHED:
                await note_loss(group, row, epoch=0)
                group.tell("lost", member=row.name)
    try:
        async with group.whole_turn() as seats:
            await pay(group, seats)
    except MmsnapError as error:
        # Owed still, until a member that was lost comes back.
        log.warning("after the loss of a node: %s", error, extra=group.about(peer=node))
