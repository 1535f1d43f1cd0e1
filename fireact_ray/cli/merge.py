"""Merging an adapter, as the command line offers it: what was written, and whether it says what the adapter says."""

from __future__ import annotations

import logging

from fireact_ray.core.errors import DataError

logger = logging.getLogger(__name__)


def merge(path: str, out: str, *, dtype: str | None = None, n_checked: int = 0) -> None:
    """`n_checked`: of how many of the run's prompts the replies are compared; 0: none.

    Raises InputError for what cannot be merged, DataError where merged and unmerged replies differ by more than
    rounding; the merged folder stays, to be looked at.
    """
    from fireact_ray.training.merge import dataset_beside, find_adapter, merge_adapter  # torch takes seconds to load
    from fireact_ray.training.merge_check import check_merge, demand_prompts

    adapter = find_adapter(path)
    dataset = dataset_beside(path)
    if n_checked:
        demand_prompts(dataset)  # before minutes are spent on a merge
    target = merge_adapter(adapter, out, dtype=dtype)
    if not n_checked:
        return
    checked = check_merge(adapter, target, dataset, n_prompts=n_checked)
    if not checked.passed:
        raise DataError(f"{checked}\n{target} is not what the adapter says on its base. Do not use it.")
    logger.info("%s", checked)
