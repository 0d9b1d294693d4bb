"""`mmsnap clone`, `mmsnap checkpoint export` and `import`: checkpoints under other names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmsnap.cli.confirmation import Yes, confirm
from mmsnap.cli.options import Address
from mmsnap.cli.progress import Told, working

if TYPE_CHECKING:
    from mmsnap_sdk.service_records import ArchivePiece, GroupCheckpoint

Group = Annotated[str, typer.Argument(metavar="G", help="The group.", show_default=False)]
Name = Annotated[
    str,
    typer.Argument(metavar="C", help="Its name, latest, or @EPOCH.", show_default=False),
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The archive.", show_default=False)]


def clone(
    group: Group,
    checkpoint: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The new group.", show_default=False)],
    member: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OLD=NEW", help="What a member is called in the new group; repeatable."
        ),
    ] = None,
    address: Address = None,
) -> None:
    """Make a new group that begins as a checkpoint was.

    Members with memory of mmsnap show it when they attach to the new group. Unmodified programs are
    restored as soon as all of them have been started under their names with `mmsnap run`, in place
    of their commands; run them in other network namespaces to have both groups side by side: their
    connections to each other live on under the new addresses.

    \b
    Examples:
        mmsnap clone shop before-upgrade rehearsal
        mmsnap clone shop before-upgrade rehearsal --member shop-0=rehearsal-0
    """
    from mmsnap.cli.service import connected

    members = _renaming(member or ())
    with connected(address) as client, working(f"cloning {group}"):
        made = client.clone(group, checkpoint, new, members)
    typer.echo(f"{new} is at {made.name} @{made.epoch}")
    _tell_programs(made)


def export(
    group: Group,
    checkpoint: Name,
    file: File,
    encrypt_to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            help="Encrypt for this public key (age1..., ssh-..., or a file of them); repeatable.",
        ),
    ] = None,
    yes: Yes = False,
    address: Address = None,
) -> None:
    """Write a checkpoint to a file, compressed, with all that it stands on.

    The file holds the programs' memory, with their secrets: only you may read it. It is encrypted
    the way age does it (age-encryption.org) when you name public keys.

    \b
    Examples:
        mmsnap checkpoint export shop before-upgrade shop.mmsnap
        mmsnap checkpoint export shop latest shop.mmsnap --encrypt-to ~/.ssh/id_ed25519.pub
    """
    from mmsnap.cli import archive_file
    from mmsnap.cli.service import connected

    if file.exists():
        confirm(f"{file} is there already. Replace it?", yes=yes)
    keys = archive_file.recipients(encrypt_to or ())
    with connected(address) as client, working(f"exporting {checkpoint} of {group}") as told:
        pieces = client.export(group, checkpoint)
        archive_file.write(file, _data(pieces, f"exporting {checkpoint} of {group}", told), keys)
    typer.echo(f"{file}: {file.stat().st_size} bytes")


def import_(
    file: File,
    new: Annotated[
        str | None,
        typer.Option("--as", metavar="G", help="Name of the group; by default as it was."),
    ] = None,
    identity: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The secret key, of age or SSH, that it is encrypted for."
        ),
    ] = None,
    address: Address = None,
) -> None:
    """Make a new group of an exported checkpoint.

    Start its members, or ask for `mmsnap restore` first: then unmodified programs are restored in
    place of being started.

    \b
    Example:
        mmsnap checkpoint import shop.mmsnap --as rehearsal
    """
    from mmsnap.cli import archive_file
    from mmsnap.cli.service import connected

    with (
        archive_file.reading(file, identity) as pieces,
        connected(address) as client,
        working(f"importing {file}"),
    ):
        made = client.import_(pieces, new)
    typer.echo(f"{made.group} is at {made.name} @{made.epoch}")


def _renaming(words: Iterable[str]) -> dict[str, str]:
    members: dict[str, str] = {}
    for word in words:
        old, separator, new = word.partition("=")
        if not (old and separator and new):
            raise typer.BadParameter(f"{word!r} is not OLD=NEW", param_hint="--member")
        if old in members:
            raise typer.BadParameter(f"{old} has two new names", param_hint="--member")
        members[old] = new
    return members


def _data(pieces: Iterator[ArchivePiece], what: str, told: Told) -> Iterator[bytes]:
    for piece in pieces:
        told(f"{what}: {100 * piece.done_bytes // max(piece.total_bytes, 1)} %")
        yield piece.data


def _tell_programs(made: GroupCheckpoint) -> None:
    programs = made.programs
    if programs:
        typer.echo(
            f"start {', '.join(programs)} with `mmsnap run --engine process --group {made.group}`: "
            "they are restored when all have been started"
        )
