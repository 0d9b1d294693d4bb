"""Generates the cffi binding of the C core from its public header.

The header is the one place where the interface is written; this script only strips what
cffi's parser does not read. Run by CMake: ``python build_native.py OUTPUT.c``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from cffi import FFI

HEADER = Path(__file__).parent.parent / "include" / "mmsnap.h"

CALLBACKS = """
extern "Python" int mm_decide_in_python(void *context, uint64_t epoch);
"""


def declarations(header: str) -> str:
    """The header without comments and preprocessor, array bounds as numbers."""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    constants = dict(re.findall(r"^#define (MM_\w+) (\d+)\s*$", text, flags=re.MULTILINE))
    text = re.sub(r"#ifdef __cplusplus.*?#endif", "", text, flags=re.DOTALL)
    text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE).replace("MM_API ", "")
    for name, value in constants.items():
        text = re.sub(rf"\b{name}\b", value, text)
    return text + "".join(f"\n#define {name} {value}" for name, value in constants.items())


def main(output: str) -> None:
    ffi = FFI()
    ffi.cdef(declarations(HEADER.read_text(encoding="utf-8")) + CALLBACKS)
    ffi.set_source("mmsnap.memory._native", '#include "mmsnap.h"')
    ffi.emit_c_code(output)


if __name__ == "__main__":
    main(sys.argv[1])
