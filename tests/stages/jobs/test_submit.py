"""What is refused before a cluster is asked."""

import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import ray

from fireact_ray.cli.commands.cluster import submit
from fireact_ray.cli.job import stages_of
from fireact_ray.core.errors import InputError
from fireact_ray.core.secrets import redact
from fireact_ray.recipe.loader import load_recipe, shipped_recipes, to_yaml
from fireact_ray.stages.jobs import submit as submitting
from fireact_ray.stages.jobs.client import connect
from fireact_ray.stages.jobs.submit import Submitted, has_begun


@pytest.mark.parametrize(
    ("overrides", "named"), [([], "runs"), (["output_dir=my/runs"], "my/runs"), (["output_dir=~/runs"], "~/runs")]
)
def test_a_run_folder_beside_the_command_is_no_folder_of_the_cluster(overrides, named):
    with pytest.raises(
        InputError, match=rf"output_dir {named}: this lies in the folder .* --set output_dir=/shared/runs"
    ):
        submit("demo", "http://127.0.0.1:9", overrides=overrides)


@pytest.mark.parametrize("address", ["10.0.0.1:6379", "ray://h:10001", "auto", "http://", "http://me:secret@h:8265"])
def test_the_address_is_the_dashboards_and_holds_no_password(address):
    with pytest.raises(
        InputError, match=r"expected the dashboard's address, such as http://127\.0\.0\.1:8265"
    ) as raised:
        connect(address)
    assert "secret" not in str(raised.value)


class Version(BaseHTTPRequestHandler):
    """What the job server says of itself, and nothing else."""

    said = "0"

    def do_GET(self):
        content = json.dumps({"ray_version": self.said}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_): ...


@pytest.fixture
def job_server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Version) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_the_address_that_is_given_counts_whatever_the_environment_names(job_server, monkeypatch):
    monkeypatch.setattr(Version, "said", ray.__version__)
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:9")
    connect(job_server)
    assert os.environ["RAY_ADDRESS"] == "http://127.0.0.1:9"


def test_a_cluster_of_another_ray_is_refused(job_server, monkeypatch):
    monkeypatch.setattr(Version, "said", "2.9.3")
    with pytest.raises(InputError, match=rf"it runs Ray 2\.9\.3, and this is {ray.__version__}\. Install"):
        connect(job_server)


def test_where_nobody_answers_it_is_said_in_one_sentence(monkeypatch):
    with pytest.raises(
        InputError, match=r"Cluster http://127\.0\.0\.1:9: no job server of Ray answers there \(no conn"
    ):
        connect("http://127.0.0.1:9")
    monkeypatch.setattr("fireact_ray.stages.jobs.client._ANSWER_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(InputError, match=r"\(no answer in 0\.1 s\)"):
        connect(f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_stages_run_in_their_order_and_an_unknown_one_is_refused():
    assert stages_of("convert, generate") == ("generate", "convert")
    for wrong in ("generate,serve", "", ","):
        with pytest.raises(InputError, match="expected some of generate, convert, train, evaluate"):
            stages_of(wrong)


@pytest.mark.parametrize("name", shipped_recipes())
def test_no_shipped_recipe_is_taken_for_one_with_a_key_in_it(name):
    resolved = to_yaml(load_recipe(name))
    assert redact(resolved) == resolved


def test_the_commands_that_are_printed_can_be_given_as_they_are(monkeypatch):
    made = Submitted("fireact-r-1", "http://h:8265/", "fireact submit r --cluster http://h:8265/")
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    assert str(made).splitlines() == [
        "job        fireact-r-1",
        "dashboard  http://h:8265/#/jobs/fireact-r-1",
        "log        ray job logs --address http://h:8265/ fireact-r-1 --follow",
        "stop       ray job stop --address http://h:8265/ fireact-r-1",
        "resume     fireact submit r --cluster http://h:8265/",
    ]
    monkeypatch.setenv("RAY_AUTH_MODE", "TOKEN")
    assert made.command("stop").startswith("RAY_AUTH_MODE=token ray job stop ")


@pytest.mark.parametrize(
    ("state", "begun"),
    [
        ("checking", False),
        ("generate, stage 1 of 4", True),
        ("done", True),
        ("failed: there is no key", False),  # its exit code is still to come
        ("stopped", False),
    ],
)
def test_a_job_is_let_alone_when_its_stages_have_begun_and_not_when_it_is_about_to_fail(state, begun):
    assert has_begun({"fireact_state": state}) == begun
    assert not has_begun(None)


class Cluster:
    """Refuses with these, then takes the job."""

    def __init__(self, *refusals):
        self.refusals = list(refusals)

    def submit_job(self, *, submission_id):
        if self.refusals:
            raise RuntimeError(f"Request failed with status code 500: {self.refusals.pop(0)}")
        return submission_id


def test_a_head_without_an_agent_yet_is_asked_again_and_another_refusal_is_told(monkeypatch):
    monkeypatch.setattr(submitting, "_AGAIN_S", 0.01)
    no_agent = "No available agent to submit job, please try again later."
    assert submitting._taken(Cluster(no_agent, no_agent), submission_id="j") == "j"
    with pytest.raises(InputError, match=r"The job j has just been begun by somebody else"):
        submitting._taken(Cluster(no_agent, "Job with submission_id j already exists."), submission_id="j")
    with pytest.raises(InputError, match=r"The cluster did not take the job j: Request failed .* 500: disk full"):
        submitting._taken(Cluster("disk full"), submission_id="j")
    monkeypatch.setattr(submitting, "_AGENT_S", -1.0)
    with pytest.raises(InputError, match="No available agent"):
        submitting._taken(Cluster(no_agent), submission_id="j")
