"""What the commands of these tests load and read."""

import pytest
from fakes import question

from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import write_trajectories
from fireact_ray.core.types import Action, Observation, Score, Step, StopReason, Trajectory

RECIPE = """
name: r
task: {{name: jsonl, path: {questions}}}
search: {{backend: {{kind: index, corpus: {corpus}}}}}
teacher: {{model: {{kind: openai, name: m, api_key_env: NO_SUCH_KEY}}}}
student: {{base_model: {model}}}
"""


@pytest.fixture(scope="module")
def loaded():
    """What commands load, once for all of them."""
    import transformers  # noqa: F401

    from fireact_ray.stages import convert, evaluate, forecast, generate, serve, train  # noqa: F401


@pytest.fixture
def recipe(tmp_path):
    """A recipe whose files all exist; tests break one of them."""
    (tmp_path / "q.jsonl").write_text('{"question": "Who?", "answer": "Bo"}\n')
    (tmp_path / "c.jsonl").write_text('{"title": "Bo", "text": "Bo did it."}\n')
    (tmp_path / "model").mkdir()

    def write(**paths: str) -> str:
        defaults = {"questions": tmp_path / "q.jsonl", "corpus": tmp_path / "c.jsonl", "model": tmp_path / "model"}
        (tmp_path / "r.yaml").write_text(RECIPE.format(**{**defaults, **paths}))
        return str(tmp_path / "r.yaml")

    return write


def run_with_one_row(tmp_path) -> str:
    steps = (
        Step("Look.", Action("search", "zem"), Observation("Zem \x1b[31mis\x1b]0;x\x07 a city")),
        Step("So.", Action("finish", "Ila Dun"), None),
    )
    row = Trajectory("k", question(), "react", "m", 0, steps, StopReason.FINISHED, Score(1.0, 1.0))
    write_trajectories(Folder(str(tmp_path / "trajectories")), [row], "w")
    (tmp_path / "recipe.yaml").write_text("name: x\n")
    return str(tmp_path)
