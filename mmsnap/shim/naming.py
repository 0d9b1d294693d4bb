"""What belongs to one program on this machine is called by this: its cgroup, its nftables table.

Two services of one machine may each have a member of the same name. It is the same whenever the
member is started again, for then it takes over what a predecessor left.
"""

from __future__ import annotations

import hashlib
import os

from mmsnap.rpc.addresses import socket_path


def name_here(group: str, member: str, address: str) -> str:
    """Of a member of the service at this address; all three are told apart in it."""
    place = os.path.realpath(socket_path(address))
    return f"{group}.{member}.{hashlib.sha256(place.encode()).hexdigest()[:8]}"
