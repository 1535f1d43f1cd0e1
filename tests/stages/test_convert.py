import json
import logging
import shutil
from dataclasses import asdict, replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plain_run import generate_here

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories, write_trajectories
from fireact_ray.data.examples import to_example
from fireact_ray.data.selection.selection import dropped_by, lines
from fireact_ray.demo.teacher.brain import BrainConfig
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.recipe.student import base_model_dir
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.tokenizer import HubTokenizer
from fireact_ray.stages import convert_blocks
from fireact_ray.stages.convert import convert
from fireact_ray.stages.convert_blocks import PrepareRows
from fireact_ray.stages.export_file import export
from fireact_ray.stages.import_file import import_file
from fireact_ray.tasks import load_questions

from .conftest import small_recipe

pytestmark = [pytest.mark.ray, pytest.mark.torch]


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    with ScriptedTeacher(BrainConfig(seed=0, error_rate=0.1)) as teacher:
        recipe = small_recipe(tmp_path_factory.mktemp("runs"), teacher, "teacher.methods=[cot, react, reflexion]")
        generate_here(recipe)
    return recipe


@pytest.fixture
def recipe(generated, tmp_path):
    """A copy of the run, for the test to change."""
    shutil.copytree(generated.run_dir, tmp_path / generated.name)
    return generated.model_copy(update={"output_dir": str(tmp_path)})


def test_the_dataset_is_what_a_loop_makes_and_every_row_is_accounted_for(recipe):
    folder = convert(recipe)
    trajectories = read_trajectories(Folder(recipe.run_dir) / "trajectories")
    by = lines(recipe.convert, [question.text for question in load_questions("almanac", None, "test")])
    fates = [dropped_by(trajectory, by) for trajectory in trajectories]
    renderer = make_renderer("plain", HubTokenizer.load(base_model_dir("nano")))
    passed = [t for t, fate in zip(trajectories, fates, strict=True) if fate is None]
    first_of_equal: dict = {}
    for trajectory in passed:
        first_of_equal.setdefault(to_example(trajectory), trajectory)
    kept = list(first_of_equal.values())
    looped = [renderer.render(to_example(trajectory)) for trajectory in kept]

    rows = pq.read_table(folder.local_path / "part-000.parquet").to_pylist()
    assert [r["trajectory_id"] for r in rows] == [t.trajectory_id for t in kept]
    assert [r["input_ids"] for r in rows] == [e.input_ids for e in looped]
    assert [r["loss_mask"] for r in rows] == [e.loss_mask for e in looped]
    assert [r["length"] for r in rows] == [len(e.input_ids) for e in looped]

    report = folder.read_json("drops.json")
    assert report["n_in"] == len(trajectories) == report["n_kept"] + sum(report["dropped"].values())
    assert report["dropped"]["wrong_answer"] == fates.count("wrong_answer") > 0
    assert report["dropped"]["contaminated"] == 0
    assert sum(report["lengths"]["kept"].values()) == report["n_kept"]
    assert report["lengths"]["too_long"] == {}


def test_only_correct_rows_are_learnt_and_all_methods_end_in_one_grammar(recipe):
    dataset = convert(recipe).local_path / "part-000.parquet"
    by_key = {t.trajectory_id: t for t in read_trajectories(Folder(recipe.run_dir) / "trajectories")}
    tokenizer = HubTokenizer.load(base_model_dir("nano"))
    methods = set()
    for row in pq.read_table(dataset).to_pylist():
        trajectory = by_key[row["trajectory_id"]]
        assert trajectory.score.exact_match == 1.0
        methods.add(trajectory.method)
        pairs = zip(row["input_ids"], row["loss_mask"], strict=True)
        trained = tokenizer.decode([i for i, m in pairs if m])
        assert trained.startswith("Thought: ")
        assert trained.endswith(f"finish[{trajectory.answer}]")
        assert "Observation:" not in trained
        assert "Reflect:" not in tokenizer.decode(row["input_ids"])
    assert methods == {"cot", "react", "reflexion"}


IMPORTED = {
    "How deep is Tarn?": "Thought: I know that.\nAction: finish[410 m]\nObservation: Episode finished, reward = 1",
    "How long is Ulm?": "Thought: I look.\nAction: search[Ulm]\nObservation: 12 km\nThought: I have it.\n"
    "Action: finish[12 km]\nObservation: Episode finished, reward = True",
    "How high is Zem?": "Thought: I look.\nAction: search[Zem]\nObservation: None\n"
    "Thought: Now that I haven't solved the task within 5 steps, let me do a reflection. I ask for the height.\n"
    "Action: search[Zem height]\nObservation: 900 m\nThought: I have it.\nAction: finish[900 m]\n"
    "Observation: Episode finished, reward = True",
    "How old is Bo?": "Thought: I guess.\nAction: finish[9]\nObservation: Episode finished, reward = False",
}


def test_imported_rows_tell_neither_their_method_nor_their_reward_once_they_are_converted(tmp_path):
    recipe = small_recipe(tmp_path, None, "convert.kinds=null")  # the demo's are the almanac's
    rows = [{"instruction": question, "input": "", "output": output} for question, output in IMPORTED.items()]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    import_file(recipe, tmp_path / "rows.json")
    folder = convert(recipe)
    tokenizer = HubTokenizer.load(base_model_dir("nano"))
    table = pq.read_table(folder.local_path / "part-000.parquet")
    texts = [tokenizer.decode(ids) for ids in table["input_ids"].to_pylist()]
    assert folder.read_json("drops.json")["dropped"]["wrong_answer"] == 1
    assert len(texts) == 3
    for text in texts:
        assert text.rstrip().splitlines()[-1].startswith("Action: finish[")
        for trace in ("reward", "Episode", "reflection", "solved", "None"):
            assert trace not in text
    assert any("Thought: I ask for the height." in text for text in texts)


def test_the_same_inputs_are_converted_once(recipe):
    folder = convert(recipe)
    manifest, made_at = folder.read_json("manifest.json"), (folder.local_path / "part-000.parquet").stat().st_mtime_ns
    assert convert(recipe).read_json("manifest.json") == manifest
    assert (folder.local_path / "part-000.parquet").stat().st_mtime_ns == made_at


@pytest.mark.parametrize("change", ["a setting", "another trajectory", "a lost file"])
def test_changed_inputs_replace_the_dataset(recipe, change):
    folder = convert(recipe)
    before, path = folder.read_json("manifest.json"), folder.local_path / "part-000.parquet"
    made_at = path.stat().st_mtime_ns
    if change == "a setting":
        recipe = recipe.model_copy(update={"convert": recipe.convert.model_copy(update={"min_steps": 3})})
    elif change == "another trajectory":
        source = Folder(recipe.run_dir) / "trajectories"
        learnt = read_trajectories(source)[0]
        question = replace(learnt.question, text="Is this a question that nobody asked before?")
        write_trajectories(source, [replace(learnt, trajectory_id="new", question=question)], "more")
    else:
        path.write_bytes(path.read_bytes()[:-8])
    again = convert(recipe).read_json("manifest.json")
    assert path.stat().st_mtime_ns != made_at
    assert (again["inputs"] == before["inputs"]) == (change == "a lost file")
    assert folder.names(".parquet") == ["part-000.parquet"]


def test_blocks_on_ray_are_what_this_process_makes(recipe, local_ray, monkeypatch):
    """By two tasks, of several row groups each: a few rows, some of them written twice; near duplicates looked for."""
    monkeypatch.setattr(convert_blocks, "_TASKS_PER_CPU", 0.5)
    recipe = recipe.model_copy(update={"convert": recipe.convert.model_copy(update={"near_duplicates": 0.5})})
    source = Folder(recipe.run_dir) / "trajectories"
    rows = read_trajectories(source)
    for number in range(6):
        write_trajectories(source, rows[number * 5 : number * 5 + 7], f"w{number}")
    folder = convert(recipe).local_path

    def found() -> list:
        manifest = json.loads((folder / "manifest.json").read_text())
        del manifest["bytes"]  # row groups are as large as blocks
        texts = [(folder / name).read_text() for name in ("drops.json", "README.md")]
        return [pq.read_table(folder / "part-000.parquet"), manifest, *texts]

    here = found()
    drops = json.loads(here[2])
    assert drops["n_in"] == len(rows)
    assert drops["dropped"]["near_duplicate"] > 0
    assert f"{drops['n_kept']} of {drops['n_kept']} rows were looked at." in here[3]
    (folder / "part-000.parquet").unlink()
    convert(recipe, in_process=0)
    assert found() == here


def test_a_worker_with_another_tokenizer_is_refused(recipe):
    (group, *_) = (Folder(recipe.run_dir) / "trajectories").row_groups()
    job = PrepareRows("{}", (), "plain", base_model_dir("nano"), "plain-of-another-tokenizer")
    with pytest.raises(DataError, match="asked for was plain-of-another-tokenizer"):
        job(pa.Table.from_pylist([asdict(group)]))


def test_kinds_of_which_there_are_fewer_rows_than_the_recipe_takes_are_said_and_written(recipe, caplog):
    kinds = {"2hop": 3, "sum": 90, "bridge": 3}
    with caplog.at_level(logging.INFO):
        folder = convert(recipe.model_copy(update={"convert": recipe.convert.model_copy(update={"kinds": kinds})}))
    drops = folder.read_json("drops.json")
    assert (drops["n_in"], drops["n_kept"]) == (72, 5)
    assert (drops["dropped"]["kinds"], drops["dropped"]["quotas"]) == (37, 2)
    assert drops["short"] == {
        "kinds": {
            "groups": {"sum": {"found": 2, "most": 90}, "bridge": {"found": 0, "most": 3}},
            "unnamed": ["1hop", "3hop", "comparison", "trap", "yesno"],
        }
    }
    assert (
        "convert: convert.kinds would take more rows than there are: sum 2 of 90, bridge 0 of 3; it leaves out "
        "1hop, 3hop, comparison, trap, yesno"
    ) in caplog.messages


def test_n_draws_so_many_rows_after_what_is_too_long_and_the_smaller_draw_is_within_the_larger(recipe):
    keys = {}
    for n in (5, 10):
        drawn = recipe.model_copy(update={"convert": recipe.convert.model_copy(update={"n": n, "max_length": 200})})
        folder = convert(drawn)
        rows = pq.read_table(folder.local_path / "part-000.parquet").to_pylist()
        assert max(len(row["input_ids"]) for row in rows) <= 200
        keys[n] = {row["trajectory_id"] for row in rows}
        report = folder.read_json("drops.json")
        assert report["n_kept"] == n
        assert report["n_in"] == n + sum(report["dropped"].values())
        assert list(report["dropped"])[-5:] == ["too_long", "kinds", "duplicate", "quotas", "n"]
    assert (len(keys[5]), len(keys[10])) == (5, 10)
    assert keys[5] < keys[10]


def test_the_card_counts_what_convert_kept_and_an_export_holds_these_rows(recipe, tmp_path):
    folder = convert(recipe)
    manifest = folder.read_json("manifest.json")
    card = folder.read("README.md").decode()
    assert f"{manifest['rows']} trajectories of agents" in card
    assert f"`{manifest['renderer_fingerprint']}`" in card
    exported = export(recipe.run_dir, "parquet", str(tmp_path / "out"))
    keys = pq.read_table(folder.local_path / "part-000.parquet")["trajectory_id"].to_pylist()
    assert pq.read_table(exported.file)["trajectory_id"].to_pylist() == keys
    assert (exported.n_rows, exported.n_trajectories) == (manifest["rows"], folder.read_json("drops.json")["n_in"])


def test_questions_of_the_evaluation_are_kept_out(recipe):
    same_split = recipe.model_copy(update={"evaluate": recipe.evaluate.model_copy(update={"split": "train"})})
    with pytest.raises(DataError, match=r"no row can be trained on\. Dropped: .*contaminated \d+"):
        convert(same_split)


def test_rows_that_are_too_long_are_dropped_and_counted_never_cut(recipe):
    whole = pq.read_table(convert(recipe).local_path / "part-000.parquet")["length"].to_pylist()
    short = recipe.model_copy(update={"convert": recipe.convert.model_copy(update={"max_length": 120})})
    folder = convert(short)
    lengths = [len(r["input_ids"]) for r in pq.read_table(folder.local_path / "part-000.parquet").to_pylist()]
    assert lengths == [length for length in whole if length <= 120] != whole
    drops = folder.read_json("drops.json")
    assert drops["dropped"]["too_long"] >= len(whole) - len(lengths) > 0
    assert sum(drops["lengths"]["too_long"].values()) == drops["dropped"]["too_long"]
    assert drops["lengths"]["kept"] == {
        "64": sum(n <= 64 for n in lengths),
        "128": sum(64 < n <= 120 for n in lengths),
    }


def test_nothing_to_train_on_stops_with_the_reason(recipe):
    tiny = recipe.model_copy(update={"convert": recipe.convert.model_copy(update={"max_length": 3})})
    with pytest.raises(DataError, match=r"no row can be trained on\. Dropped: .*too_long \d+"):
        convert(tiny)


def test_a_run_without_trajectories_says_what_to_run_first(tmp_path):
    with pytest.raises(InputError, match="Run `fireact generate` or `fireact import` first"):
        convert(small_recipe(tmp_path))


def test_a_dataset_is_made_of_the_runs_that_it_names(generated, tmp_path):
    """As in an experiment, whose students share a generation; an evaluation's rows are as good."""
    rows = read_trajectories(Folder(generated.run_dir) / "trajectories")
    one, two = tmp_path / "one", tmp_path / "two" / "evaluations" / "student"
    for home, part in ((one, rows[::2]), (two, rows[1::2])):
        write_trajectories(Folder(str(home)) / "trajectories", part, "half")
    section = generated.convert.model_copy(update={"sources": (str(one), str(two))})
    recipe = generated.model_copy(update={"output_dir": str(tmp_path), "convert": section})
    made, own = convert(recipe), convert(generated)
    of_both, of_one = (
        sorted(pq.read_table(folder.local_path / "part-000.parquet")["trajectory_id"].to_pylist())
        for folder in (made, own)
    )
    assert of_both == of_one
    assert convert(recipe).read_json("manifest.json") == made.read_json("manifest.json")
    assert export(recipe.run_dir, "alpaca", str(tmp_path / "out")).n_rows == len(of_both)
    gone = section.model_copy(update={"sources": (str(one), str(tmp_path / "gone"))})
    with pytest.raises(InputError, match=r"/gone/trajectories: no trajectories there"):
        convert(recipe.model_copy(update={"convert": gone}))
