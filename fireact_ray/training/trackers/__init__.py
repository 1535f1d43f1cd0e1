"""Others that are told of a training: TensorBoard, Weights & Biases, MLflow, trackio. Needs none of them, nor torch."""

from fireact_ray.training.trackers.base import TRACKERS, Tracked, Tracker
from fireact_ray.training.trackers.opening import demand_trackers, open_trackers

__all__ = ["TRACKERS", "Tracked", "Tracker", "demand_trackers", "open_trackers"]
