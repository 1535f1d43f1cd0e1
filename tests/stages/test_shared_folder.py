"""What a run folder must be, asked before anything is paid for."""

import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.utils.itinerary import demo_itinerary
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.demo import demo
from fireact_ray.stages.pipeline import pipeline
from fireact_ray.stages.shared_base import check_base
from fireact_ray.stages.shared_folder import Sight, check
from fireact_ray.stages.train import train

pytestmark = pytest.mark.torch  # which these import

FOLDER = Folder("/data/runs/r")


@pytest.mark.parametrize("found", [None, "another file"])
def test_a_node_that_sees_another_folder_is_named_with_the_folder_and_what_to_do(found):
    sights = [Sight("10.0.0.2", found), Sight("10.0.0.1", "probe"), None, Sight("10.0.0.9", found)]
    message = r"/data/runs/r .* on 10\.0\.0\.2, 10\.0\.0\.9\. Put output_dir on storage that every node mounts"
    with pytest.raises(InputError, match=message):
        check(FOLDER, "probe", sights)


def test_a_node_that_may_not_read_a_bucket_is_named_with_what_it_lacks():
    message = r"s3://data/r .* on 10\.0\.0\.2\. Give every node the credentials and the endpoint"
    with pytest.raises(InputError, match=message):
        check(Folder("s3://data/r"), "probe", [Sight("10.0.0.2", None), Sight("10.0.0.1", "probe")])


def test_nodes_that_all_see_it_or_do_not_answer_are_no_reason_to_refuse():
    check(FOLDER, "probe", [Sight("10.0.0.1", "probe"), None])
    check(FOLDER, "probe", [])


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, r"/models/llama is there on this machine, but not on 10\.0\.0\.2\. Put it at the same place"),
        ("f00d", r"/models/llama is another model on 10\.0\.0\.2\. Put it at the same place"),
    ],
)
def test_a_base_model_that_only_this_machine_has_is_refused_with_node_and_path(found, said):
    sights = [Sight("10.0.0.1", "cafe"), Sight("10.0.0.2", found), None]
    with pytest.raises(InputError, match=rf"student\.base_model: {said}"):
        check_base("/models/llama", "cafe", sights)
    check_base("/models/llama", "cafe", [Sight("10.0.0.1", "cafe"), None])


@pytest.mark.parametrize("whole_run", [pipeline, train, lambda recipe: demo(recipe, demo_itinerary())])
@pytest.mark.parametrize("output_dir", ["hdfs://node/runs", "abfs://container/runs"])
def test_a_whole_run_is_refused_at_once_where_train_could_not_write(whole_run, output_dir):
    with pytest.raises(
        InputError, match=rf"output_dir {output_dir}: `fireact train` needs a local or mounted folder, or"
    ):
        whole_run(load_recipe("demo", [f"output_dir={output_dir}"]))
