"""`mmsnap agent`: the service of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmsnap.cli.options import Address


def agent(
    pool: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder in which regions and checkpoints are.")
    ],
    address: Address = None,
) -> None:
    """Serve this machine's groups, with their regions in a pool.

    It listens on a Unix socket that only you and root can open, by default
    /run/mmsnap/agent.sock, or agent.sock in your runtime folder when you are not root. It ends on
    SIGTERM and Ctrl-C; members run on without it and attach again when it is back. A pool on
    /dev/shm is quick, and gone when the machine restarts.

    \b
    Example:
        mkdir /dev/shm/pool
        mmsnap agent --pool /dev/shm/pool
    """
    import asyncio
    import logging

    from mmsnap.node.agent import run

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    asyncio.run(run(pool, address))
