"""MLflow. MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and its credentials are read from the environment."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from fireact_ray.training.trackers.base import PROJECT, Outcome, Tracked


def open_mlflow(tracked: Tracked) -> MLflow:
    from mlflow import MlflowClient
    from mlflow.entities import Param

    client = MlflowClient()

    def create() -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        known = client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else client.create_experiment(name)
        return str(client.create_run(experiment, run_name=tracked.name).info.run_id)

    run_id, is_new = tracked.run_id("mlflow", create)
    if is_new:
        client.log_batch(run_id, params=[Param(name, str(value)) for name, value in tracked.settings.items()])
    else:
        client.update_run(run_id, status="RUNNING")
    return MLflow(client, run_id)


class MLflow:
    """By the client, which knows its run by its id: what `mlflow.log_metric` takes for the active run differs from
    thread to thread."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client, self._run_id = client, run_id

    def log(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now_ms = time.time_ns() // 1_000_000
        self._client.log_batch(self._run_id, [Metric(name, value, now_ms, step) for name, value in values.items()])

    def end(self, outcome: Outcome) -> None:
        self._client.set_terminated(self._run_id, outcome.upper())
