"""Train the recipe's student, wherever that is done."""

from __future__ import annotations

from fireact_ray.core.storage.folder import Folder
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.students import HostedStudentConfig
from fireact_ray.stages.train_hosted import train_hosted


def train_student(recipe: Recipe) -> Folder:
    """The model's folder; of a hosted student the folder that names its model. Raises what the training raises."""
    if isinstance(recipe.student, HostedStudentConfig):
        return train_hosted(recipe)
    from fireact_ray.stages.train import train  # which loads torch

    return train(recipe)
