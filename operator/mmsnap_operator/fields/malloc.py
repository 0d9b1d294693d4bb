"""`mvmallocConfig`: a library preloaded into programs that moved their memory to PMem.

mmsnap does without one: an unmodified program is checkpointed from outside, and memory of the SDK
is in the pool because it was asked for there. So nearly all of it means nothing, for its reason.
"""

from __future__ import annotations

from typing import Final

from mmsnap_operator.fields.field import Field, flag, number, path, port, section, text

_NO_LIBRARY: Final = "no library is preloaded into programs"
_NOT_CAPTURED: Final = "allocations are not redirected: a program's own memory is dumped at the cut"
_NO_TIERS: Final = "an agent sets no limit to what a program keeps in DRAM"
_NO_HUGE_PAGES: Final = "pages are copied one by one, when they were written"
_SHORTER_PAUSE: Final = "the engine forks or copies, whichever has the shorter pause"
_MEMBERS_SOCKET: Final = "members and agent speak through a Unix socket"
_WRITE_TRACKING: Final = "the kernel tracks written pages"
_POD_LOG: Final = "a program's words are in its pod's log"


def _numbers(reason: str, *names: str) -> list[Field]:
    return [number(name, ignored=reason) for name in names]


def _flags(reason: str, *names: str) -> list[Field]:
    return [flag(name, ignored=reason) for name in names]


_FIELDS: Final = [
    text("accessDetector", ignored=_WRITE_TRACKING),
    flag("checkConsistency", ignored="every record has a checksum; mmsnap checkpoint verify"),
    port("commPort", 5678, ignored=_MEMBERS_SOCKET),
    *_flags(_NO_LIBRARY, "disableCloneInstance", "disableDeepBind"),
    path("dpmeSocketName", "/tmp/memverge/dpme_daemon.0", ignored=_MEMBERS_SOCKET),
    number("dramCacheGB", ignored=_NO_TIERS),
    number("dramCacheMB", 0, ignored=_NO_TIERS),
    flag("dramCacheNumaInterleave", ignored=_NO_TIERS),
    *_numbers(_NO_TIERS, "dramColdIntervals", "dramIncrementSize", "dramTierGB", "dramTierMB"),
    flag("dramTierNumaInterleave", ignored=_NO_TIERS),
    flag("enableSnapshot", ignored="checkpoints are always possible", in_force=True),
    flag("enableTraceLog", ignored=_POD_LOG),
    number("faultSettleMs", ignored=_WRITE_TRACKING),
    flag("hugePageDram", False, ignored=_NO_HUGE_PAGES),
    path("hugePagePath", ignored=_NO_HUGE_PAGES),
    flag("internalBatchReplacement", ignored=_NO_TIERS),
    text("logName", ignored=_POD_LOG),
    text("logNamePrefix", "/var/log/memverge/malloc_log", ignored=_POD_LOG),
    flag("logTrace", False, ignored=_POD_LOG),
    flag("logTruncate", ignored=_POD_LOG),
    number("lruPollMsec", ignored=_NO_TIERS),
    flag("mallocCapture", True, ignored=_NOT_CAPTURED),
    flag("mallocHooks", ignored=_NOT_CAPTURED),
    *_numbers(_NOT_CAPTURED, "mallocMemoryMB", "mallocUnitNum"),
    *_numbers(_NO_TIERS, "maxActivations", "maxCachePerPoll", "maxFaultPipes", "maxPromotePerPoll"),
    flag("mmapAllowFragment", ignored=_NOT_CAPTURED),
    number("mmapAllowedSize", ignored=_NOT_CAPTURED),
    flag("mmapCapture", True, ignored=_NOT_CAPTURED),
    *_numbers(_NOT_CAPTURED, "mmapDelayStart", "mmapDisallowedSize"),
    text("mmapFlagAllow", ignored=_NOT_CAPTURED),
    text("mmapFlagDisallow", ignored=_NOT_CAPTURED),
    number("mmapForkWait", ignored=_NOT_CAPTURED),
    text("multicastAddr", ignored=_MEMBERS_SOCKET),
    flag("outOfPmemFail", ignored="a full pool always fails the checkpoint, never the program"),
    flag("preallocateDram", ignored=_NO_TIERS),
    number("rearmCycles", ignored=_WRITE_TRACKING),
    number("reservedMinFd", ignored=_NO_LIBRARY),
    *_flags(_NO_LIBRARY, "safeModeDefault", "stopThreadInFork", "supportAddrHint"),
    flag("useForkSnapshot", ignored=_SHORTER_PAUSE),
    flag("useMulticast", True, ignored=_MEMBERS_SOCKET),
    flag("userfault", ignored=_WRITE_TRACKING, in_force=True),
]

MALLOC: Final = section(
    "mvmallocConfig", *_FIELDS, default={"dpmeSocketName": "/tmp/memverge/dpme_daemon.0"}
)
