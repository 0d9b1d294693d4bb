from typing import Any

# What cffi makes of native/include/mmsnap.h; types-cffi knows nothing of its structs.
ffi: Any
lib: Any
