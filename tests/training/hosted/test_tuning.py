"""Upload once, start once, follow to the end: against a provider on loopback, with every step cut off once."""

import json
import logging

import openai
import pytest
from aiohttp import web
from provider import SUCCEEDED, refusal

from fireact_ray.core.errors import DataError, ModelDenied, ModelUnavailable, ModelUnknown, RateLimited, TrainingError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.training.hosted.client import FineTuningApi
from fireact_ray.training.hosted.job import JobSettings, TrainingFile
from fireact_ray.training.hosted.journal import read_state
from fireact_ray.training.hosted.tuning import tune

pytestmark = pytest.mark.slow

FILE = TrainingFile(b'{"messages": []}\n' * 10, 10)
SETTINGS = JobSettings("small", n_epochs=2, learning_rate_multiplier=0.5, suffix="agent", seed=7)


class Died(BaseException):
    """As by kill -9: nothing of ours is run any more."""


class DyingFolder(Folder):
    """Dies around its nth writing of the journal, from 1."""

    def dies(self, nth: int, *, behind: bool) -> "DyingFolder":
        object.__setattr__(self, "left", [nth])
        object.__setattr__(self, "behind", behind)
        return self

    def write_json(self, name, value):
        self.left[0] -= 1
        if self.left[0] == 0 and not self.behind:
            raise Died
        super().write_json(name, value)
        if self.left[0] == 0:
            raise Died


@pytest.fixture
def tuned(provider, tmp_path):
    """Tune once: the state. `waits` are the seconds that were waited for, `events` what was said of the job."""

    async def run(home=None, file=FILE, seen=frozenset()):
        async def wait(seconds):
            run.waits.append(seconds)

        api = FineTuningApi(provider.base_url, {"Authorization": "Bearer k"}, timeout_s=5)
        home = home or Folder(str(tmp_path))
        try:
            return await tune(
                api, file, SETTINGS, home, wait=wait, poll_every_s=15, seen=seen, on_events=run.events.extend
            )
        finally:
            await api.close()

    run.waits, run.events = [], []
    return run


async def test_a_file_becomes_a_model_and_the_provider_is_asked_as_openai_is(provider, tuned):
    state = await tuned()
    assert (state.phase, state.model, state.trained_tokens) == ("succeeded", "ft:small:house::1", 4200)
    assert provider.contents["file-1"] == FILE.content
    assert provider.files["file-1"]["filename"] == FILE.name
    (asked,) = provider.started
    assert asked.pop("metadata") == {"fireact_ray": state.marker}
    assert asked == {
        "model": "small",
        "training_file": "file-1",
        "method": {
            "type": "supervised",
            "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": "auto", "learning_rate_multiplier": 0.5}},
        },
        "suffix": "agent",
        "seed": 7,
    }
    assert tuned.waits == [15]


async def test_the_provider_of_these_tests_speaks_as_openai_s_own_client_expects(provider, tuned):
    provider.events = [(1, "Created", {}), (2, "Step 1", {"step": 1, "total_steps": 2, "train_loss": 0.5})]
    await tuned()
    async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="k", max_retries=0) as client:
        job = await client.fine_tuning.jobs.retrieve("ftjob-1")
        events = [event.message async for event in client.fine_tuning.jobs.list_events("ftjob-1")]
        files = [file.filename async for file in client.files.list()]
    assert (job.status, job.fine_tuned_model, job.training_file) == ("succeeded", "ft:small:house::1", "file-1")
    assert (events, files) == (["Step 1", "Created"], [FILE.name])


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("forgets", [False, True])
async def test_a_restart_after_every_step_uploads_once_and_pays_once(provider, tuned, tmp_path, nth, behind, forgets):
    provider.forgets = forgets
    with pytest.raises(Died):
        await tuned(DyingFolder(str(tmp_path)).dies(nth, behind=behind))
    provider.course = [SUCCEEDED]
    state = await tuned()
    assert (state.phase, state.job_id, state.model) == ("succeeded", "ftjob-1", "ft:small:house::1")
    assert (len(provider.files), len(provider.jobs)) == (1, 1)
    done = await tuned()
    assert (done, provider.asked["upload"], provider.asked["start"]) == (state, 1, 1)


@pytest.mark.parametrize("name", ["upload", "start"])
@pytest.mark.parametrize(("fault", "n_asked"), [("lost", 1), ("reset", 2), (503, 2), (429, 2)])
async def test_what_was_cut_off_is_looked_for_before_it_is_done_again(provider, tuned, name, fault, n_asked):
    provider.faults[name] = [fault]
    assert (await tuned()).phase == "succeeded"
    assert (len(provider.files), len(provider.jobs), provider.asked[name]) == (1, 1, n_asked)
    assert tuned.waits == [1, 15]


async def test_a_foreign_job_on_another_file_is_never_taken_for_ours(provider, tuned):
    provider.jobs = {
        f"theirs-{n}": {
            "id": f"theirs-{n}",
            "status": "succeeded",
            "training_file": f"f{n}",
            "fine_tuned_model": "ft:x",
        }
        for n in range(5)
    }
    provider.faults["start"] = ["reset"]
    assert (await tuned()).job_id == "ftjob-6"


async def test_events_come_once_each_in_their_order_over_pages_and_restarts(provider, tuned):
    provider.events = [(n // 3, f"Step {n}/5", {"step": n, "total_steps": 5, "train_loss": 1 / n}) for n in range(1, 6)]
    await tuned(seen=frozenset({"ftevent-0", "ftevent-1"}))
    assert [(event.step, event.of, round(event.loss, 2)) for event in tuned.events] == [
        (3, 5, 0.33),
        (4, 5, 0.25),
        (5, 5, 0.2),
    ]


@pytest.mark.parametrize("answer", [404, 403, 400, web.json_response({"data": "none"})])
async def test_a_provider_without_events_is_asked_for_them_once(provider, tuned, caplog, answer):
    provider.faults["events"] = [answer]
    assert (await tuned()).phase == "succeeded"
    assert provider.asked["events"] == 1
    assert "so this provider gives no events, and no progress is shown" in caplog.text


async def test_overload_while_a_job_runs_is_waited_for_as_long_as_the_provider_asks(provider, tuned):
    asks = web.Response(status=429, headers={"Retry-After": "7"}, text="slow down")
    provider.faults["job"] = [asks, 500, "reset", web.Response(text="<html>"), web.json_response({"id": "x"})]
    assert (await tuned()).phase == "succeeded"
    assert tuned.waits == [7, 2, 4, 8, 16, 15]


async def test_a_provider_that_stays_away_ends_the_command_and_not_the_job(provider, tuned):
    provider.faults["job"] = [503] * 99
    with pytest.raises(ModelUnavailable, match=r"HTTP 503.*\(asked again for 843 s\). Nothing is lost: run the same"):
        await tuned()
    provider.faults["job"] = []
    assert ((await tuned()).phase, len(provider.jobs)) == ("succeeded", 1)


async def test_a_wait_longer_than_our_patience_is_not_begun(provider, tuned):
    provider.faults["start"] = [web.Response(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(RateLimited, match="run the same command again"):
        await tuned()
    assert tuned.waits == []


@pytest.mark.parametrize("fault", ["lost", "reset"])
@pytest.mark.parametrize("forgets", [False, True])
async def test_a_failed_job_says_why_and_the_next_call_starts_another_on_the_same_file(
    provider, tuned, tmp_path, forgets, fault
):
    provider.forgets = forgets
    error = {"code": "invalid_training_file", "param": "training_file", "message": "Line 3\nis empty"}
    provider.course = [{"status": "failed", "error": error, "finished_at": 2}]
    with pytest.raises(
        TrainingError, match=r"ftjob-1 failed: invalid_training_file \(training_file\): Line 3 is empty"
    ):
        await tuned()
    assert read_state(Folder(str(tmp_path))).phase == "failed"
    provider.course = [SUCCEEDED | {"error": None}]
    provider.faults["start"] = [fault]
    state = await tuned()
    assert (state.job_id, state.ended, provider.asked["upload"]) == ("ftjob-2", ("ftjob-1",), 1)


async def test_a_job_that_the_provider_has_forgotten_is_said_with_the_way_out(provider, tuned):
    provider.faults["job"] = [404]
    with pytest.raises(TrainingError, match=r"HTTP 404.*does not know it \(any more\)\. To start another one, delete "):
        await tuned()


async def test_a_job_cancelled_elsewhere_ends_the_command(provider, tuned):
    provider.course = [{"status": "running"}, {"status": "cancelled", "finished_at": 2}]
    with pytest.raises(TrainingError, match=r"job ftjob-1 was cancelled \(the provider says no more\)"):
        await tuned()


async def test_an_unknown_status_is_waited_for_and_ends_the_job_only_where_the_provider_says_when(
    provider, tuned, caplog
):
    provider.course = [{"status": "Reviewing"}, {"status": "Reviewing"}, SUCCEEDED]
    assert (await tuned()).phase == "succeeded"
    assert caplog.text.count("'reviewing', a status that is not known here; it is waited for") == 1


async def test_an_unknown_status_of_a_finished_job_is_no_success(provider, tuned):
    provider.course = [{"status": "expired", "fine_tuned_model": "ft:x", "finished_at": 2}]
    with pytest.raises(TrainingError, match="ended as 'expired', which is not known here"):
        await tuned()


async def test_a_succeeded_job_is_asked_again_until_it_names_its_model(provider, tuned):
    provider.course = [{"status": "succeeded", "finished_at": 2}, SUCCEEDED]
    assert (await tuned()).model == "ft:small:house::1"
    assert tuned.waits == [1]


async def test_a_file_that_is_still_read_is_waited_for_and_a_job_that_comes_too_early_asked_for_again(provider, tuned):
    provider.file_status = ["pending", "running", "processed"]
    provider.faults["start"] = [refusal(400, "File file-1 is not ready.")]
    assert (await tuned()).phase == "succeeded"
    assert (provider.asked["file"], provider.asked["start"], tuned.waits) == (2, 2, [1, 2, 1, 15])


async def test_a_file_that_the_provider_cannot_read_is_said_in_its_words(provider, tuned):
    provider.file_status = ["pending", "error"]
    with pytest.raises(TrainingError, match=r"file file-1 is of no use: line 3 has no messages"):
        await tuned()
    assert provider.started == []


async def test_a_file_too_large_is_refused_in_the_provider_s_words_and_sent_once(provider, tuned):
    provider.max_bytes = 100
    with pytest.raises(TrainingError, match="HTTP 413: The file is larger than this provider takes"):
        await tuned()
    assert provider.asked["upload"] == 1


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (refusal(400, "n_epochs is too large", "invalid_value"), TrainingError, "HTTP 400 invalid_value: n_epochs is"),
        (refusal(403, "no permission"), ModelDenied, "HTTP 403: no permission"),
        (refusal(429, "Quota", "insufficient_quota"), ModelDenied, "HTTP 429 insufficient_quota: Quota"),
        (refusal(404, "no such model", "model_not_found"), ModelUnknown, "HTTP 404 model_not_found: no such model"),
        (web.Response(status=307, headers={"Location": "http://x/"}), ModelUnknown, "HTTP 307"),
        (web.json_response({"error": {"message": "not here"}}), TrainingError, "an error: not here"),
    ],
)
async def test_a_refusal_is_not_asked_again(provider, tuned, answer, error, said):
    provider.faults["start"] = [answer]
    with pytest.raises(error, match=said):
        await tuned()
    assert (provider.asked["start"], provider.jobs) == (1, {})


async def test_a_refused_key_is_one_request_and_never_shown(tmp_path, tuned, provider):
    provider.api_key = "another"
    with pytest.raises(ModelDenied, match="HTTP 401 invalid_api_key") as caught:
        await tuned()
    assert provider.asked == {"upload": 1}
    assert "Bearer" not in str(caught.value)
    assert json.loads((tmp_path / "job.json").read_text())["phase"] == "uploading"


async def test_after_a_clear_no_another_file_may_be_trained(provider, tuned):
    provider.faults["start"] = [400]
    with pytest.raises(TrainingError, match="as the test orders"):
        await tuned()
    await tuned(file=TrainingFile(b"other\n", 10))
    assert [job["training_file"] for job in provider.jobs.values()] == ["file-2"]


async def test_a_job_on_another_file_is_never_followed_as_this_one_s(provider, tuned):
    await tuned()
    with pytest.raises(DataError, match="job ftjob-1 is of another training file"):
        await tuned(file=TrainingFile(b"other\n", 10))


@pytest.fixture(autouse=True)
def heard(caplog):
    caplog.set_level(logging.INFO, logger="fireact_ray")
