"""The catalog on a thread of its own, for the service's event loop.

A catalog waits for its medium or for etcd; the event loop must not. One thread
also makes the service the one writer of a file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from mmsnap.catalog import Catalog, NoMajorityError

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class Ledger:
    """Asks the catalog: `await ledger.ask(ledger.catalog.find, group, name)`.

    Attributes:
        silence: why the catalog is not even asked now: it takes long to find out that it does
            not answer. None: it is.
    """

    def __init__(self, catalog: Catalog, *, watched: bool = False) -> None:
        """`watched`: somebody takes `silence` back when the catalog answers again."""
        self.catalog = catalog
        self.silence: NoMajorityError | None = None
        self._watched = watched
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="catalog")

    async def ask(
        self,
        method: Callable[_Parameters, _Result],
        *args: _Parameters.args,
        **kwargs: _Parameters.kwargs,
    ) -> _Result:
        """Run a method of the catalog; calls are carried out in their order."""

        def call() -> _Result:
            self._require_answers()  # it may have fallen silent since this was asked
            try:
                return method(*args, **kwargs)
            except NoMajorityError as error:
                if self._watched:
                    self.silence = error  # here, for the next call in the line begins at once
                raise

        self._require_answers()
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def close(self) -> None:
        self._thread.shutdown()
        self.catalog.close()

    def _require_answers(self) -> None:
        if self.silence is not None:
            raise NoMajorityError(self.silence.message, hint=self.silence.hint)
