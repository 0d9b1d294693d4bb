"""The number of a program's layout of arrays and state, and the step from an older one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from mmsnap.errors import SchemaMismatchError
from mmsnap_sdk.layout import CellKind, damaged
from mmsnap_sdk.store import Store

if TYPE_CHECKING:
    from mmsnap_sdk.app import App

_KEY: Final = "schema"
Migration = Callable[["App", int], object]


def bring_to_schema(app: App, store: Store, schema: Any, migrate: Migration | None) -> None:
    """Makes what is stored fit `schema`: writes the number into an empty region, migrates an
    older one inside an update and takes a checkpoint, refuses a newer one.

    Raises:
        SchemaMismatchError: it is newer, or older and there is no `migrate` or only reading.
        Exception: what `migrate` raised; nothing of it is kept.
    """
    if isinstance(schema, bool) or not isinstance(schema, int) or schema < 0:
        raise ValueError(f"schema is a number from 0 on, not {schema!r}")
    stored = _stored_schema(store)
    if stored is None and not app.arrays and not app.state:
        if schema and not store.region.read_only:
            _write(store, schema)
        return
    stored = stored or 0
    if stored > schema:
        raise _mismatch(store, stored, schema, "use the program that wrote it, or a newer one")
    if stored < schema:
        if migrate is None:
            raise _mismatch(store, stored, schema, "open it with migrate=")
        if store.region.read_only:
            raise _mismatch(store, stored, schema, 'migrate it by opening it with mode="r+" once')
        with app.update():
            migrate(app, stored)
            _write(store, schema)
        app.checkpoint()


def _stored_schema(store: Store) -> int | None:
    value = store.read(CellKind.SCHEMA, _KEY)
    if value is None:
        return None
    if len(value) > 20 or not value.isdigit():
        raise damaged(f"region {store.region.name!r}", "the stored schema is not a number")
    return int(value)


def _write(store: Store, schema: int) -> None:
    with store.step:
        store.write(CellKind.SCHEMA, _KEY, b"%d" % schema)


def _mismatch(store: Store, stored: int, schema: int, hint: str) -> SchemaMismatchError:
    return SchemaMismatchError(
        f"region {store.region.name!r} is stored with schema {stored}, not {schema}",
        subject=store.region.name,
        hint=hint,
    )
