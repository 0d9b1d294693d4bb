"""How checkpoints are shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from mmsnap.cli.checkpoints import Entry
from mmsnap.cli.output import Column, Format, print_facts, print_json, print_table
from mmsnap.quantities import format_duration, format_size
from mmsnap_sdk.checkpoint import Checkpoint
from mmsnap_sdk.service_records import GroupMemberCheckpoint as Part

_COLUMNS: Final = [
    Column[Entry]("OF", lambda entry: entry.owner),
    Column[Entry]("NAME", lambda entry: entry.checkpoint.name),
    Column[Entry]("EPOCH", lambda entry: str(entry.checkpoint.epoch), numeric=True),
    Column[Entry]("CREATED", lambda entry: _created(entry.checkpoint)),
    Column[Entry]("PAUSE", lambda entry: format_duration(entry.checkpoint.pause_ns), numeric=True),
    Column[Entry](
        "WRITTEN", lambda entry: format_size(entry.checkpoint.bytes_written), numeric=True
    ),
    Column[Entry]("CONSISTENCY", lambda entry: entry.checkpoint.consistency),
    Column[Entry]("DURABILITY", lambda entry: entry.checkpoint.durability),
    Column[Entry]("NOTES", lambda entry: ", ".join(_notes(entry))),
]

_PART_COLUMNS: Final = [
    Column[Part]("MEMBER", lambda part: part.member),
    Column[Part]("PAUSE", lambda part: format_duration(part.pause_ns), numeric=True),
    Column[Part]("WAITED FOR UPDATES", lambda part: format_duration(part.waited_ns), numeric=True),
    Column[Part]("HOOKS", lambda part: format_duration(part.hook_ns), numeric=True),
    Column[Part]("SKEW", lambda part: format_duration(part.skew_ns), numeric=True),
    Column[Part]("WRITTEN", lambda part: format_size(part.bytes_written), numeric=True),
]

_NODE_COLUMNS: Final = [
    Column[Part]("NODE", lambda part: part.node),
    Column[Part]("COPIES", lambda part: ", ".join(part.copies)),
]


def print_entries(entries: Iterable[Entry], output: Format) -> None:
    """Prints a list of checkpoints."""
    if output is Format.JSON:
        print_json([_document(entry) for entry in entries])
    else:
        print_table(_COLUMNS, entries)


def print_entry(entry: Entry, output: Format) -> None:
    """Prints all that is known of one checkpoint."""
    if output is Format.JSON:
        print_json(_document(entry))
        return
    shown = entry.checkpoint
    print_facts(
        [
            ("name", shown.name),
            ("of", entry.owner),
            ("epoch", f"{shown.epoch}, on top of {shown.parent or 'nothing'}"),
            ("created", _created(shown)),
            ("pause", format_duration(shown.pause_ns)),
            ("hooks", format_duration(shown.hook_ns)),
            ("written", format_size(shown.bytes_written)),
            ("consistency", shown.consistency),
            ("durability", shown.durability),
            ("labels", ", ".join(f"{key}={value}" for key, value in shown.labels.items())),
            ("notes", ", ".join(_notes(entry))),
        ]
    )
    if shown.members:
        parts = _parts(shown)
        is_spread = any(part.node for part in parts)
        print_table([*_PART_COLUMNS, *(_NODE_COLUMNS if is_spread else ())], parts)


def describe(checkpoint: Checkpoint) -> str:
    """One line on a checkpoint that was just taken."""
    return (
        f"{checkpoint.name} @{checkpoint.epoch}: {checkpoint.consistency} consistent, "
        f"{checkpoint.durability}, paused {format_duration(checkpoint.pause_ns)}, "
        f"wrote {format_size(checkpoint.bytes_written)}"
    )


def _created(checkpoint: Checkpoint) -> str:
    return checkpoint.created.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _notes(entry: Entry) -> list[str]:
    facts = {
        "head": entry.head,
        "pinned": entry.checkpoint.pinned,
        "automatic": entry.checkpoint.automatic,
    }
    return [note for note, true in facts.items() if true]


def _document(entry: Entry) -> dict[str, Any]:
    shown = entry.checkpoint
    return {
        "of": entry.owner,
        "name": shown.name,
        "epoch": shown.epoch,
        "parent": shown.parent,
        "created": shown.created.isoformat(),
        "pause_ns": shown.pause_ns,
        "hook_ns": shown.hook_ns,
        "bytes_written": shown.bytes_written,
        "consistency": shown.consistency,
        "durability": shown.durability,
        "labels": dict(shown.labels),
        "head": entry.head,
        "pinned": shown.pinned,
        "automatic": shown.automatic,
        "members": [asdict(part) for part in shown.members],
    }


def _parts(checkpoint: Checkpoint) -> list[Part]:
    """The members' parts of a group checkpoint; a region's has none."""
    return [part for part in checkpoint.members if isinstance(part, Part)]
