"""A worker on a node that came after the others were asked whether they see the run folder."""

import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.stages.actors import rollout_worker

pytestmark = pytest.mark.slow


async def test_a_worker_that_does_not_see_the_plan_takes_no_row(tmp_path, monkeypatch):
    monkeypatch.setattr(rollout_worker, "_SEEN_S", 1)
    said = rf"output_dir: {tmp_path}/plan\.parquet, which was written by the node of the run, is not there on \d+\."
    with pytest.raises(InputError, match=said):
        await rollout_worker._demand_seen(Folder(str(tmp_path)))
    (tmp_path / "plan.parquet").touch()
    await rollout_worker._demand_seen(Folder(str(tmp_path)))
