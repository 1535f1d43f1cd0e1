"""Export: the rows that convert selected -> a folder with one file in another trainer's format, and its card."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.artifacts import EXPORTED, MANIFEST
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.rows import to_table
from fireact_ray.core.storage.trajectories import read_trajectories, trajectory_folders
from fireact_ray.core.types import Trajectory
from fireact_ray.data.dataset.card import Dataset, dataset_card, lint_training_rows, total_usd
from fireact_ray.data.formats.export_folder import INFO, demand_ours, digest_of, with_entry, written_before
from fireact_ray.data.formats.exporters import FORMATS, Format
from fireact_ray.recipe.loader import parse_recipe, to_yaml
from fireact_ray.recipe.schema import Recipe


class Exported(NamedTuple):
    file: str
    n_rows: int
    n_trajectories: int  # that convert selected the rows from


def export(path: str, format_name: str, out: str) -> Exported:
    """Write the rows of a run's dataset into the folder `out`: the file of the format, README.md, and an entry in
    dataset_info.json where LLaMA-Factory reads the format.

    `path`: a run folder or its dataset folder. Raises InputError, with nothing written, for an unknown format, where
    convert has not run, and where the folder holds files of these names that are not ours; DataError where a row's
    trajectory is gone.
    """
    fmt, folder = _format(format_name), Folder(out)
    kept, dataset = read_dataset(path)
    files = {fmt.file: fmt.encode(kept), "README.md": dataset_card(dataset, fmt).encode()}
    written = written_before(folder)
    demand_ours(folder, files, written)
    if fmt.info is not None:
        files[INFO] = with_entry(folder, dataset.name, fmt.info, written)
    for name, content in files.items():
        folder.write(name, content)
    folder.write_json(EXPORTED, {**written, **{name: digest_of(files[name]) for name in (fmt.file, "README.md")}})
    return Exported((folder / fmt.file).uri, len(kept), dataset.drops["n_in"])


def read_selected(run: Folder) -> list[Trajectory]:
    """The trajectories of a run that convert selected, in the order of their keys. Raises DataError where some are
    gone."""
    keys = {key for table in (run / "dataset").read_tables(["trajectory_id"]) for key in table[0].to_pylist()}
    sources = trajectory_folders(run, _recipe_of(run).convert.sources)
    kept = [row for row in read_trajectories(*sources) if row.trajectory_id in keys]
    _demand_all(run, len(kept), len(keys))
    return kept


def read_dataset(path: str) -> tuple[list[Trajectory], Dataset]:
    """What a run folder, or its dataset folder, holds of what convert selected: the trajectories, and about them."""
    run = _run_of(path)
    folder = run / "dataset"
    lengths = {
        key: len(ids)
        for table in folder.read_tables(["trajectory_id", "input_ids"])
        for key, ids in zip(table["trajectory_id"].to_pylist(), table["input_ids"], strict=True)
    }
    recipe = _recipe_of(run)
    everything = read_trajectories(*trajectory_folders(run, recipe.convert.sources))
    kept = [row for row in everything if row.trajectory_id in lengths]
    _demand_all(run, len(kept), len(lengths))
    rows = to_table(kept).drop_columns("steps")
    return kept, Dataset(
        name=recipe.name,
        rows=rows.append_column("length", pa.array([lengths[row.trajectory_id] for row in kept])),
        paid_usd=total_usd([row.cost_usd for row in everything]),
        drops=folder.read_json("drops.json"),
        manifest=folder.read_json(MANIFEST),
        lint=lint_training_rows(kept),
        recipe=to_yaml(recipe, places=False),
    )


def _recipe_of(run: Folder) -> Recipe:
    return parse_recipe(f"{run.uri}/recipe.yaml", run.read("recipe.yaml").decode())


def _demand_all(run: Folder, n_found: int, n_wanted: int) -> None:
    if n_found != n_wanted:
        raise DataError(
            f"{run.uri}: {n_wanted - n_found} of {n_wanted} rows of the dataset have no trajectory there. "
            "Run `fireact convert` again."
        )


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise InputError(f"--format: unknown format '{name}'. Known: {', '.join(FORMATS)}.")
    return FORMATS[name]


def _run_of(path: str) -> Folder:
    bare = path.rstrip("/")
    candidates = [bare, bare.removesuffix("/dataset")]
    for run in map(Folder, candidates):
        if (run / "dataset").exists(MANIFEST):
            return run
    raise InputError(
        f"{path}: no dataset there. What is exported are the rows that convert selected: give the folder of a run in "
        "which `fireact convert` (after `fireact generate` or `fireact import`) has run."
    )
