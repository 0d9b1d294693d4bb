"""Small values of an app, kept in the region: `app.state`.

A value is serialised when it is assigned, never in the pause. Lists and dicts read inside an
update are written back at its end if they were changed; read outside of one they are copies,
and changing them raises an error instead of losing the change.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from copy import deepcopy
from threading import get_ident
from typing import Any, Final

from mmsnap_sdk.codec import Codec, PickleRefusedError, is_unchanging
from mmsnap_sdk.layout import VALUE_MAX_BYTES, CellKind, damaged
from mmsnap_sdk.store import Store

_ABSENT: Final = object()


class _Copy:
    """Keeps nothing: the keeper of what was read outside of an update."""

    def __init__(self, key: str) -> None:
        self._key = key

    def touch(self) -> None:
        raise RuntimeError(
            f"this change of app.state[{self._key!r}] would be lost, for it was read outside of "
            "an update: read and change it inside `with app.update():`, or assign a changed copy"
        )


class _Live:
    """A value in use by open updates, and by which threads' ones."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.value: Any = None
        self.holders: set[int] = set()
        self.changed = False

    def touch(self) -> None:
        if get_ident() not in self.holders:
            raise RuntimeError(
                f"this change of app.state[{self.key!r}] would be lost, for the update that read "
                "it has ended, or the value was replaced: read it again inside the update"
            )
        self.changed = True


class State(MutableMapping[str, Any]):
    """A mapping of names to small values, part of every checkpoint.

    Values are None, bool, int, float, str, bytes, list, tuple, dict, the types of `datetime`
    and NumPy scalars, and they come back equal and of the same type; with `allow_pickle=True`
    also what pickle takes. Assigning another value raises TypeError naming key and type.
    """

    def __init__(self, store: Store, codec: Codec) -> None:
        self._store = store
        self._codec = codec
        # Values nobody can change, as they are in the cells; emptied by every restore.
        self._known: dict[str, Any] = {}
        self._live: dict[str, _Live] = {}
        store.on_reload(self._forget)
        store.guard.on_leave = self._write_back

    def __getitem__(self, key: str) -> Any:
        self._store.current()
        value = self._known.get(key, _ABSENT)
        return self._read(key) if value is _ABSENT else value

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"a key of app.state is a string, not a {type(key).__name__}")
        data = self._encode(key, value)
        with self._store.step:
            self._store.write(CellKind.STATE, key, data)
            self._replace(key)
            if is_unchanging(value):
                self._known[key] = value

    def __delitem__(self, key: str) -> None:
        with self._store.step:
            self._store.delete(CellKind.STATE, key)
            self._replace(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._store.keys(CellKind.STATE))

    def __len__(self) -> int:
        return len(self._store.keys(CellKind.STATE))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._store.read(CellKind.STATE, key) is not None

    def __repr__(self) -> str:
        return f"State({dict(self)!r})"

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of `key`, after setting it to `default` if there was none."""
        with self._store.step:
            if key not in self:
                self[key] = default
            return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        """Removes `key` and returns its value, as a copy of its own."""
        with self._store.step:
            if key not in self and default:
                return default[0]
            value = deepcopy(self[key])
            del self[key]
            return value

    def clear(self) -> None:
        """Removes everything; no checkpoint falls in between."""
        with self._store.guard:
            for key in list(self):
                del self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Sets several values; no checkpoint falls in between."""
        with self._store.guard:
            super().update(*args, **kwargs)

    def _read(self, key: str) -> Any:
        inside = self._store.guard.depth > 0
        with self._store.step:
            data = self._store.read(CellKind.STATE, key)
            if data is None:
                raise KeyError(key)
            held = self._hold if inside else self._copy
            value = held(key, data)
            if is_unchanging(value):
                self._known[key] = value
            return value

    def _copy(self, key: str, data: bytes) -> Any:
        return self._decode(key, data, _Copy(key))

    def _hold(self, key: str, data: bytes) -> Any:
        """The value as it is shared by the open updates, this thread's among them."""
        live = self._live.get(key)
        if live is None:
            live = _Live(key)
            live.value = self._decode(key, data, live)
            if is_unchanging(live.value):
                return live.value
            live.changed = self._codec.may_change_unseen(data)
            self._live[key] = live
        me = get_ident()
        live.holders.add(me)
        self._store.guard.touched.add((me, key))
        return live.value

    def _write_back(self) -> None:
        """Ends this thread's hold of what its update has read, writing what has changed."""
        me = get_ident()
        touched = self._store.guard.touched
        failure: Exception | None = None
        for key in [key for holder, key in list(touched) if holder == me]:
            touched.discard((me, key))
            try:
                self._release(key, me)
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def _release(self, key: str, holder: int) -> None:
        with self._store.step:
            live = self._live.get(key)
            if live is None or holder not in live.holders:
                return
            live.holders.discard(holder)
            if not live.holders:
                del self._live[key]
            if live.changed:
                data = self._encode(key, live.value)
                if data != self._store.read(CellKind.STATE, key):
                    self._store.write(CellKind.STATE, key, data)

    def _replace(self, key: str) -> None:
        self._known.pop(key, None)
        live = self._live.pop(key, None)
        if live is not None:
            live.holders.clear()

    def _decode(self, key: str, data: bytes, keeper: _Copy | _Live) -> Any:
        try:
            return self._codec.decode(data, keeper)
        except PickleRefusedError as error:
            raise TypeError(f"app.state[{key!r}] can not be read: {error}") from None
        except ValueError as error:
            subject = f"app.state[{key!r}] of region {self._store.region.name!r}"
            raise damaged(subject, str(error)) from None

    def _encode(self, key: str, value: Any) -> bytes:
        data = self._codec.encode(value, key)
        if len(data) > VALUE_MAX_BYTES:
            raise ValueError(
                f"app.state[{key!r}] takes {len(data)} bytes, more than {VALUE_MAX_BYTES}: "
                "keep large data in app.array()"
            )
        return data

    def _forget(self) -> list[tuple[int, int]]:
        self._known.clear()
        self._live.clear()
        return []
