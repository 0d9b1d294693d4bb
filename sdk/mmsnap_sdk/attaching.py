"""`mmsnap.attach`: an app that is a member of a group, through the node service."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Final

from mmsnap.quantities import parse_size
from mmsnap_sdk.app import App
from mmsnap_sdk.membership import GroupBackend
from mmsnap_sdk.request import automatic_checkpoints
from mmsnap_sdk.schema import Migration
from mmsnap_sdk.service_records import Application, OnLoss

_DEFAULT_NAME: Final = "main"


def attach(
    group: str | None = None,
    member: str | None = None,
    *,
    size: int | str | None = None,
    address: str | None = None,
    on_loss: OnLoss = "rollback",
    every: timedelta | str | None = None,
    keep_last: int | None = None,
    schema: int = 0,
    migrate: Migration | None = None,
    allow_pickle: bool = False,
) -> App:
    """Becomes a member of a group, and shows the member's part of the group's head.

    Checkpoints and restores of the app act on the whole group. When the service goes away the
    program runs on, and is a member again as soon as the service is back.

    Args:
        group: a DNS label; by default $MMSNAP_GROUP, else "main".
        member: a DNS label, under which the memory is found again; by default $MMSNAP_MEMBER,
            else "main".
        size: what its memory may grow to, in bytes or like "4GiB".
        address: of the service; by default $MMSNAP_ADDRESS, else where `mmsnap agent` listens.
        on_loss: what happens when this process is lost: "rollback" (the others return to the
            head), "wait" (they run on, no checkpoint until it is back), "fresh" (it is dropped).
        every, keep_last, schema, migrate, allow_pickle: as of `mmsnap.open`; `every` in one
            member is enough for a group.

    Raises:
        AgentUnavailableError: no service answers at the address.
        InUseError: a live process is this member; `pid` says which.
        Others as of `mmsnap.open`.
    """
    every_ns, kept = automatic_checkpoints(every, keep_last)
    application = Application(
        group=group or os.environ.get("MMSNAP_GROUP") or _DEFAULT_NAME,
        member=member or os.environ.get("MMSNAP_MEMBER") or _DEFAULT_NAME,
        size_bytes=None if size is None else parse_size(size),
        on_loss=on_loss,
    )
    return App(
        GroupBackend(application, address),
        every_ns=every_ns,
        keep_last=kept,
        schema=schema,
        migrate=migrate,
        allow_pickle=allow_pickle,
    )
