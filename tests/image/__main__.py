"""`python -m tests.image [NAME]`: builds this checkout's image, prints its archive."""

from __future__ import annotations

import sys

from tests.image.product import archive_of_checkout, release

if __name__ == "__main__":
    print(archive_of_checkout(sys.argv[1] if len(sys.argv) > 1 else release()))
