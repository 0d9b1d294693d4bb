"""Where a member of etcd is, as a URL says it. Whether one is there is found out by who asks it."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urlsplit

_PORT: Final = 2379


class Endpoint(NamedTuple):
    """`scheme` is http or https."""

    scheme: str
    host: str
    port: int


def parse_endpoint(url: str) -> Endpoint:
    """The parts of a URL like http://10.0.0.1:2379; ValueError when it is none."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"{url!r} is no endpoint of etcd like http://10.0.0.1:{_PORT}")
    return Endpoint(parts.scheme, parts.hostname, port or _PORT)
