"""An NRI plugin in a process of its own, to be killed: `… nri_process SOCKET`.

Each line that it prints is a list in JSON: a state with its reason, or what was missed.
"""

import asyncio
import json
import sys
from pathlib import Path

from mmsnap.pods.nri import NriPlugin


def tell(*words: object) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    plugin = NriPlugin(
        Path(sys.argv[1]),
        on_state=lambda connected, reason: tell("state", connected, reason),
        on_missed=lambda pod, container: tell("missed", pod.name, container.name),
    )
    asyncio.run(plugin.run())
