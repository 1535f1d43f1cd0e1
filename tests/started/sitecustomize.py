"""What every Python process that the tests start does first.

The garbage collector looks seldom, since imports make objects by the hundred thousand and nearly no garbage; and what
Ray and accelerate import for uses that no test makes is loaded at such a use. The tests start some six hundred
processes, most of which do little more than to import Ray: that takes a quarter less.
"""

import gc
import importlib.util
import sys

_LATE = ("boto3", "jsonschema")


class _Late:
    """Finds them as any other finder does, to be loaded at the first look into them."""

    def __init__(self):
        self._is_asked = False

    def find_spec(self, name, path=None, target=None):
        if name not in _LATE or self._is_asked:
            return None
        self._is_asked = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._is_asked = False
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


sys.meta_path.insert(0, _Late())
gc.set_threshold(20_000, *gc.get_threshold()[1:])
