"""The part of `mmsnap run` that is for unmodified programs: options into an order for the shim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import typer

if TYPE_CHECKING:
    from mmsnap_sdk.service_records import OnLoss


def run_program(
    command: tuple[str, ...],
    environment: Mapping[str, str],
    on_loss: Literal["fresh", "wait", "rollback"],
    profile: str | None,
    profile_options: str,
    files: Sequence[str] | None,
) -> int:
    """Runs it under the shim to its end; returns the exit code."""
    from mmsnap.profiles import choose
    from mmsnap.shim.supervisor import Order, log_to_stderr, supervise
    from mmsnap_sdk.service_records import Application

    try:
        chosen = choose(profile, profile_options)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    loss: OnLoss = on_loss
    application = Application(
        group=environment["MMSNAP_GROUP"],
        member=environment["MMSNAP_MEMBER"],
        size_bytes=None,
        on_loss=loss,
        engine="process",
    )
    log_to_stderr()
    return supervise(
        Order(
            command=command,
            environment=environment,
            application=application,
            address=environment["MMSNAP_ADDRESS"],
            profile=chosen,
            captured=tuple(files or ()),
        )
    )
