"""The tables of the catalog and their version.

The version is the catalog's own; it rises when the tables change, not with the
product. An older catalog is brought up here; a newer one is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mmsnap.errors import FormatVersionError, UnsupportedError

SCHEMA_VERSION: Final = 3

# Kept beside the wishes is how the last runs went.
_SCHEDULES: Final = """
CREATE TABLE schedules (
    group_name     TEXT PRIMARY KEY REFERENCES groups (name),
    every_ns       INTEGER NOT NULL,
    keep_last      INTEGER,
    keep_within_ns INTEGER,
    wait           TEXT NOT NULL,
    timeout_ns     INTEGER NOT NULL,
    max_pause_ns   INTEGER NOT NULL,
    replicas       INTEGER NOT NULL,
    labels         TEXT NOT NULL,
    suspended      INTEGER NOT NULL,
    failures       INTEGER NOT NULL DEFAULT 0,
    error          TEXT NOT NULL DEFAULT '',
    checkpoint     TEXT NOT NULL DEFAULT '',
    success_ns     INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
"""

_TABLES: Final = f"""
CREATE TABLE groups (
    name          TEXT PRIMARY KEY,
    head_epoch    INTEGER,
    next_epoch    INTEGER NOT NULL,
    restore_epoch INTEGER NOT NULL,
    pending_epoch INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE members (
    group_name TEXT NOT NULL REFERENCES groups (name),
    name       TEXT NOT NULL,
    on_loss    TEXT NOT NULL,
    state      TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    lost_epoch INTEGER NOT NULL,
    engine     TEXT NOT NULL DEFAULT 'memory',
    PRIMARY KEY (group_name, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoints (
    group_name   TEXT NOT NULL REFERENCES groups (name),
    epoch        INTEGER NOT NULL,
    name         TEXT NOT NULL,
    parent_epoch INTEGER,
    created_ns   INTEGER NOT NULL,
    held_ns      INTEGER NOT NULL,
    automatic    INTEGER NOT NULL,
    pinned       INTEGER NOT NULL,
    labels       TEXT NOT NULL,
    PRIMARY KEY (group_name, epoch),
    UNIQUE (group_name, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE figures (
    group_name    TEXT NOT NULL,
    epoch         INTEGER NOT NULL,
    member        TEXT NOT NULL,
    pause_ns      INTEGER NOT NULL,
    waited_ns     INTEGER NOT NULL,
    hook_ns       INTEGER NOT NULL,
    skew_ns       INTEGER NOT NULL,
    bytes_written INTEGER NOT NULL,
    crash_only    INTEGER NOT NULL,
    engine        TEXT NOT NULL DEFAULT 'memory',
    freeze_ns     INTEGER NOT NULL DEFAULT 0,
    dump_ns       INTEGER NOT NULL DEFAULT 0,
    thaw_ns       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (group_name, epoch, member),
    FOREIGN KEY (group_name, epoch) REFERENCES checkpoints (group_name, epoch) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
{_SCHEDULES}"""

# What version 1 lacks: unmodified programs.
_TO_VERSION_2: Final = """
ALTER TABLE groups ADD COLUMN pending_epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN engine TEXT NOT NULL DEFAULT 'memory';
ALTER TABLE figures ADD COLUMN engine TEXT NOT NULL DEFAULT 'memory';
ALTER TABLE figures ADD COLUMN freeze_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE figures ADD COLUMN dump_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE figures ADD COLUMN thaw_ns INTEGER NOT NULL DEFAULT 0;
"""

# What a version lacks that the next one has.
_UPGRADES: Final = {1: _TO_VERSION_2, 2: _SCHEDULES}


def connect(path: Path) -> sqlite3.Connection:
    """Open the catalog at `path`, made if it is not there.

    Every commit is on the medium when it returns (WAL, synchronous=FULL). The
    connection may be handed between threads, one at a time.

    Raises:
        FormatVersionError: a newer version of mmsnap made it.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _require_schema(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is done inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def alone() -> UnsupportedError:
    """The error of what takes several nodes."""
    return UnsupportedError(
        "this service keeps its catalog to itself", hint="several nodes need `mmsnap agent --etcd`"
    )


def _require_schema(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        # One transaction: a kill in the middle leaves version 0 and no table.
        connection.executescript(
            f"BEGIN IMMEDIATE;{_TABLES}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;"
        )
    elif version < SCHEMA_VERSION:
        for step in range(version, SCHEMA_VERSION):
            connection.executescript(
                f"BEGIN IMMEDIATE;{_UPGRADES[step]}PRAGMA user_version = {step + 1};COMMIT;"
            )
    elif version > SCHEMA_VERSION:
        raise FormatVersionError(
            f"the catalog {path} has version {version}, this mmsnap reads {SCHEMA_VERSION}",
            subject=str(path),
            hint="use the newer mmsnap that wrote it",
        )
