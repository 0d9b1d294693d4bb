"""The catalog on a thread of its own, for the service's event loop.

A catalog waits for its medium or for etcd; the event loop must not. One thread
also makes the service the one writer of a file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from mmsnap.catalog import Catalog

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class Ledger:
    """Asks the catalog: `await ledger.ask(ledger.catalog.find, group, name)`."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="catalog")

    async def ask(
        self,
        method: Callable[_Parameters, _Result],
        *args: _Parameters.args,
        **kwargs: _Parameters.kwargs,
    ) -> _Result:
        """Run a method of the catalog; calls are carried out in their order."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: method(*args, **kwargs))

    def close(self) -> None:
        self._thread.shutdown()
        self.catalog.close()
