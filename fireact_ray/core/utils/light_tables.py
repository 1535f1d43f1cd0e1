"""Tables of plain Python rows without pandas, in processes that never need it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

import pyarrow as pa


class _Missing:
    """A finder that finds no pandas."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is left out here", name=name)


def spare_pandas() -> None:
    """Call once, before this process makes its first table. pandas can be imported afterwards as ever.

    pyarrow asks of its first Python list whether it is an object of pandas, and imports pandas to ask it: half a second
    of CPU and its memory in each worker of a run. Where it finds none, it does not look again.
    """
    missing = _Missing()
    sys.meta_path.insert(0, missing)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(missing)
