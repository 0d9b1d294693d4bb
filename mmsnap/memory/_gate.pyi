from collections.abc import Callable
from types import TracebackType
from typing import Any

class Guard:
    depth: int
    touched: set[Any]
    on_leave: Callable[[], None] | None
    on_escape: Callable[[BaseException], None] | None
    def __init__(self, region: object, address: int, forked_error: type[Exception]) -> None: ...
    def __enter__(self) -> Guard: ...
    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
