"""Processes of this node whose members were restored elsewhere while nobody reached it: ended.

A node that was cut off, and that somebody vouched to be down, finds out when it is back. Members
that did not move come again as they would after their service was restarted, and follow what the
group did meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from mmsnap.errors import MmsnapError
from mmsnap.node.groups import Groups
from mmsnap.node.mesh import Mesh
from mmsnap.node.moving import end_leftover, is_superseded

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0


async def look_for_leftovers(groups: Groups, mesh: Mesh) -> None:
    """Until it is cancelled."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            await _look(groups, mesh)
        except MmsnapError as error:
            log.debug("the catalog does not say who lives where: %s", error)
        except Exception:
            log.exception("leftovers could not be looked for")


async def _look(groups: Groups, mesh: Mesh) -> None:
    ledger, switchboard = groups.desk.ledger, groups.desk.switchboard
    seats = groups.seats()
    rows = {(row.group, row.name): row for row in await ledger.ask(ledger.catalog.members)}
    for group, seat in seats:
        if is_superseded(seat, rows.get((group, seat.name))):
            end_leftover(groups.group(group), seat.name, seat.pid)
            switchboard.hang_up(seat.token, "its member lives elsewhere")
    nodes = await ledger.ask(ledger.catalog.nodes)
    if mesh.name not in nodes or nodes[mesh.name].down:
        log.error("node %s was taken for down: its members come again", mesh.name)
        await mesh.announce()
        for _, seat in seats:
            switchboard.hang_up(seat.token, "its node was taken for down")
