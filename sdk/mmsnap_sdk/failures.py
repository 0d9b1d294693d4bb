"""Errors that nobody waits for: logged at once, raised by the next call that can tell of them."""

from __future__ import annotations

import logging
import threading
from typing import Final

logger: Final = logging.getLogger("mmsnap")


class Failures:
    """The background failures of an app.

    Attributes:
        last_error: the newest one, also after it was raised; None: there was none.
    """

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._lock = threading.Lock()
        self._pending: Exception | None = None
        self.last_error: Exception | None = None

    def record(self, what: str, error: Exception) -> None:
        """Logs an error and keeps it until it was raised; the newest one wins."""
        notes = "".join(f", {note}" for note in getattr(error, "__notes__", ()))
        logger.error("%s: %s failed: %s%s", self._subject, what, error, notes, exc_info=error)
        with self._lock:
            self._pending = self.last_error = error

    def raise_pending(self) -> None:
        """Raises what was not raised before, once."""
        with self._lock:
            pending, self._pending = self._pending, None
        if pending is not None:
            raise pending
