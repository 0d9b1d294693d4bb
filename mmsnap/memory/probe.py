"""What the kernel and the processor of this machine offer to the memory engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mmsnap.memory._native import ffi, lib
from mmsnap.memory.status import text_of


@dataclass(frozen=True)
class Features:
    """Attributes are True where the machine can.

    Attributes:
        supported: regions can be opened for writing here.
        reason: why not, else empty.
        userfaultfd: it may be opened, without privilege.
        wp_async: pages can be watched without a fault handler (Linux 6.7).
        pagemap_scan: written pages are reported exactly and re-armed in one call (Linux 6.7).
        event_remap: a restore can move old pages aside in constant time.
        crc32c_hardware: the processor computes checksums itself.
    """

    supported: bool
    reason: str
    userfaultfd: bool
    wp_async: bool
    pagemap_scan: bool
    event_remap: bool
    crc32c_hardware: bool


def probe() -> Features:
    """Tries each feature on this machine, now."""
    features: Any = ffi.new("mm_features *")
    supported = lib.mm_probe(features) == lib.MM_OK
    reason = "" if supported else text_of(lib.mm_error_message())
    return Features(
        supported=supported,
        reason=reason,
        userfaultfd=features.userfaultfd == 0,
        wp_async=bool(features.wp_async),
        pagemap_scan=bool(features.pagemap_scan),
        event_remap=bool(features.event_remap),
        crc32c_hardware=bool(features.crc32c_hardware),
    )
