# What build_native.py compiles; cffi's modules carry no types of their own.

from typing import Any

lib: Any
ffi: Any
