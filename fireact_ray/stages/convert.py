"""Convert: correct trajectories -> one ReAct grammar -> token ids and loss mask, in Parquet.

`data.dataset.prepare` does nearly all the work, a block of rows at a time: up to `in_process` trajectories in this
process, whose tokenizer uses all cores; above that on Ray Data. `data.dataset.choose` looks at all rows, needs few
facts of each, and runs here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

import fireact_ray
from fireact_ray.core.errors import InputError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.settings import NAMES
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.lease import leased
from fireact_ray.core.storage.trajectories import trajectory_folders
from fireact_ray.core.utils.gc_tuning import uncollected
from fireact_ray.data.dataset.card import Dataset, lint_training_rows, total_usd
from fireact_ray.data.dataset.choose import choose_rows, read_picked
from fireact_ray.data.dataset.folder import (
    histograms,
    is_made_of,
    manifest,
    read_facts,
    write_about,
    write_rows,
)
from fireact_ray.recipe.evaluation_questions import evaluation_questions
from fireact_ray.recipe.loader import to_yaml
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.student import base_model_dir
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.stages.convert_blocks import IN_PROCESS, PrepareRows, prepared_blocks

_LINTED = 1_000  # rows, for the card
_SHAPING_ROOMS = ("core", "tasks", "rendering", "data")
_LATER = {
    "output_dir",
    "replay",
    "ray",
    "train",
    "evaluate",
    "serve",
    "experiments",
}  # what they say makes no other dataset
_TOKENIZER_FILES = (".json", ".jinja", ".model", ".txt")

logger = logging.getLogger(__name__)


@leased("fireact convert")
def convert(recipe: Recipe, source: Folder | None = None, *, in_process: int = IN_PROCESS) -> Folder:
    """Tokenize what the recipe lets pass, and choose among it; returns the dataset's folder.

    A dataset that the same code made of the same content and settings is left as it is. Raises InputError where there
    are no trajectories, DataError where none is left to train on, or fewer than the recipe asks for.
    """
    run = Folder(recipe.run_dir)
    sources = [source] if source else trajectory_folders(run, recipe.convert.sources)
    folder = run / "dataset"
    if empty := [each.uri for each in sources if not each.names(".parquet")]:
        raise InputError(
            f"{', '.join(empty)}: no trajectories there. Run `fireact generate` or `fireact import` first."
        )
    questions = _evaluation_questions(recipe)
    inputs = _inputs(recipe, sources, questions)
    run.write("recipe.yaml", to_yaml(recipe))
    if is_made_of(folder, inputs):
        logger.info("convert: already done -> %s", folder.uri)
        return folder
    base_dir, named = base_model_dir(recipe.student.tokenizer_model), ", ".join(each.uri for each in sources)
    renderer = make_renderer(recipe.student.renderer, HubTokenizer.load(base_dir))
    job = PrepareRows(recipe.convert.model_dump_json(), questions, renderer.name, base_dir, renderer.fingerprint)
    groups = [group for each in sources for group in each.row_groups()]
    with prepared_blocks(groups, job, renderer, recipe.ray, in_process) as blocks:
        facts = read_facts(blocks)
        with uncollected():
            choice = choose_rows(pa.concat_tables(facts), recipe.convert, recipe.seed, named)
        write_rows(folder, blocks, np.split(choice.picked, np.cumsum([table.num_rows for table in facts])[:-1]))
    with uncollected():
        found = lint_training_rows(islice(read_picked(groups, choice.picked), _LINTED))
    dataset = Dataset(
        name=recipe.name,
        rows=choice.kept,
        paid_usd=total_usd(choice.rows["cost_usd"].to_pylist()),
        drops={
            **choice.report.to_dict(),
            "short": {each.setting: each.to_dict() for each in choice.short},
            "lengths": histograms(choice.rows, choice.kept),
        },
        manifest=manifest(choice.kept, renderer),
        lint=found,
        recipe=to_yaml(recipe, places=False),
    )
    write_about(folder, dataset, inputs)
    logger.info("convert: %d of %d rows kept -> %s", choice.report.n_kept, choice.report.n_in, folder.uri)
    logger.info("convert: dropped %s", choice.report)
    for short in choice.short:
        logger.info("convert: %s", short)
    return folder


def _evaluation_questions(recipe: Recipe) -> tuple[str, ...]:
    if recipe.convert.decontaminate is None:
        return ()
    try:
        return tuple(evaluation_questions(recipe))
    except InputError as error:
        raise InputError(
            f"{error} These are questions of evaluate.split or of convert.decontaminate_against, which "
            "convert.decontaminate keeps out of training; null leaves that out, [] the latter."
        ) from None


def _inputs(recipe: Recipe, sources: Sequence[Folder], questions: Sequence[str]) -> str:
    """A hash of all that shapes a dataset and its card: trajectories, recipe, tokenizer, questions to keep out, and our
    code; of none of these where it lies."""
    settings = recipe.model_dump(mode="json", context=NAMES, exclude=_LATER)
    base_dir = base_model_dir(recipe.student.tokenizer_model)
    is_folder = Path(base_dir).is_dir()
    tokenizer = Folder(base_dir).digest(_TOKENIZER_FILES) if is_folder else HubTokenizer.load(base_dir).fingerprint
    code = [file.read_text(encoding="utf-8") for file in shaping_code()]
    return content_hash([*(each.digest((".parquet",)) for each in sources), settings, tokenizer, questions, code])


def shaping_code() -> list[Path]:
    """The files of this package that decide what a dataset holds: the rooms below `data`, but for those that make
    trajectories, and this stage."""
    home = Path(fireact_ray.__file__).parent
    rooms = (file for room in _SHAPING_ROOMS for file in (home / room).rglob("*.py"))
    return sorted([*rooms, *(home / "stages").glob("convert*.py")])
