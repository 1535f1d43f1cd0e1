"""Ray Data as this package uses it: rows keep their order, and nothing is drawn.

Loaded where it is needed first: it brings pandas, and most runs and every worker do without.
"""

from __future__ import annotations

import logging
from types import ModuleType


def ray_data() -> ModuleType:
    """`ray.data`, with the settings of this process' datasets."""
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.WARNING)
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    module: ModuleType = ray.data
    return module
