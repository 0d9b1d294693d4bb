"""Hazelcast: a member must be healthy before the cut, and the cluster safe after a restore.

By default the cluster is PASSIVE during the cut: it takes no writes and moves no partitions. With
`--nopause` it is left ACTIVE: clients then see a stall and no error, and the cut is still one
instant for all members. Asked over the member's REST interface (groups HEALTH_CHECK, CLUSTER_READ
and, unless `--nopause`, CLUSTER_WRITE).
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from mmsnap.errors import MmsnapError, QuiesceTimeoutError
from mmsnap.profiles.profile import Action, Profile, Step

_HEALTH: Final = "/hazelcast/health"
_CHANGE: Final = "/hazelcast/rest/management/cluster/changeState"
_UP: Final = ("ACTIVE", "PASSIVE")
_STEP_SECONDS: Final = 0.1
_RESTORED_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Member:
    """A member's REST interface, at a URL like http://127.0.0.1:5701."""

    url: str
    cluster: str
    password: str = ""

    def require_safe(self, timeout_seconds: float) -> None:
        """Waits until the member is up and the cluster safe; paused by another member, or not."""

        def safe() -> bool:
            health = self._health()
            return health.get("nodeState") in _UP and bool(health.get("clusterSafe"))

        self._await(safe, "the cluster is not safe", timeout_seconds)

    def change_state(self, state: str) -> Action:
        """An action that brings the whole cluster into a state; fine if it is in it."""
        fields = [self.cluster, self.password, state]
        body = "&".join(urllib.parse.quote(field) for field in fields).encode()

        def changed() -> bool:
            if self._health().get("clusterState") == state:
                return True
            self._ask(_CHANGE, body)
            return False

        return lambda seconds: self._await(changed, f"the cluster does not become {state}", seconds)

    def _await(self, condition: Callable[[], bool], otherwise: str, timeout_seconds: float) -> None:
        """A refusal is no failure yet: other members change the state at the same time."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            refusal = ""
            try:
                if condition():
                    return
            except MmsnapError as error:
                refusal = f": {error.message}"
            if time.monotonic() > deadline:
                raise QuiesceTimeoutError(
                    f"{otherwise}{refusal}",
                    subject=self.url,
                    hint="are the REST groups HEALTH_CHECK and CLUSTER_WRITE on?",
                )
            time.sleep(_STEP_SECONDS)

    def _health(self) -> dict[str, Any]:
        told = self._ask(_HEALTH)
        try:
            health: dict[str, Any] = json.loads(told)
        except ValueError:
            raise MmsnapError(
                f"{self.url} tells no health: {told[:80]!r}", subject=self.url
            ) from None
        return health

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        try:
            with urllib.request.urlopen(self.url + path, body, timeout=5) as reply:
                told: bytes = reply.read()
                return told
        except (urllib.error.URLError, TimeoutError) as error:
            raise MmsnapError(f"{self.url} does not answer: {error}", subject=self.url) from error


def hazelcast(
    url: str = "http://127.0.0.1:5701",
    cluster: str = "dev",
    password: str = "",
    *,
    pause: bool = True,
) -> Profile:
    """The profile of one member."""
    member = Member(url.rstrip("/"), cluster, password)
    before = [Step("safe", member.require_safe)]
    after = [Step("safe", member.require_safe, timeout_seconds=_RESTORED_SECONDS)]
    if pause:
        passive, active = member.change_state("PASSIVE"), member.change_state("ACTIVE")
        before.append(Step("passive", passive, active))
        # What was captured was paused.
        after.append(Step("active", active, timeout_seconds=_RESTORED_SECONDS))
    return Profile("hazelcast", before, after)
