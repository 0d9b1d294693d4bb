"""What runs in a pod of the tests: attaches when told to, and answers what it is asked."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

import mmsnap
from mmsnap.errors import MmsnapError


class Application:
    def attach(self, *names: str) -> Any:
        self.app = mmsnap.attach(*names, size="8MiB")
        with self.app.update():
            self.cells = self.app.array("cells", (1 << 17,), np.int64)
        return None if self.app.restored is None else self.app.restored.name

    def put(self, value: int) -> None:
        with self.app.update():
            self.cells[:] = value

    def get(self) -> int:
        return int(self.cells.min())

    def checkpoint(self, name: str) -> str:
        return self.app.checkpoint(name).name

    def restore(self, name: str) -> None:
        self.app.restore(name)


def main() -> None:
    application = Application()
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        try:
            answer = getattr(application, method)(*arguments)
        except (MmsnapError, OSError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
