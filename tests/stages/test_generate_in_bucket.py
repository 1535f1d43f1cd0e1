"""The command itself, on a Ray of its own, with a run folder and a corpus in a bucket."""

import json
import os
import subprocess
import sys

import pytest
from object_store import object_store

from fireact_ray.core.json_text import parse
from fireact_ray.tasks.almanac import corpus

pytestmark = pytest.mark.e2e

CANARY = "a-canary-that-sings-77"


def test_trajectories_are_generated_into_a_bucket_and_its_key_is_nowhere_to_be_read(tmp_path):
    with object_store() as store:
        store.bucket("data")
        articles = "".join(json.dumps({"title": one.title, "text": one.text}) + "\n" for one in corpus())
        store.client.put_object(Bucket="data", Key="corpora/almanac.jsonl", Body=articles.encode())
        given = {"AWS_ACCESS_KEY_ID": "a-name", "AWS_SECRET_ACCESS_KEY": CANARY, "AWS_ENDPOINT_URL": store.endpoint}
        address = store.endpoint.removeprefix("http://").replace(":", "%3A")
        few = "from fireact_ray.stages import plan_feed; plan_feed._WAITING_ROWS = 2"  # Ray Data feeds the others
        command = f"{few}; from fireact_ray.cli.app import main; main()"
        settings = ["--set", f"output_dir=s3://data/runs?endpoint_override={address}&scheme=http"]
        settings += ["--set", "search.backend.corpus=s3://data/corpora/almanac.jsonl"]
        settings += ["--set", "generate.n_questions=3"]
        done = subprocess.run(
            [sys.executable, "-c", command, "generate", "demo", *settings],
            env={**os.environ, **given, "FIREACT_CACHE": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        keys = store.keys("data")
        contents = {key: store.client.get_object(Bucket="data", Key=key)["Body"].read() for key in keys}
    home = "runs/demo/trajectories"
    manifest = parse(contents[f"{home}/manifest.json"])
    assert (manifest["planned"], manifest["written"], manifest["pending"]) == (6, 6, 0)
    assert {f"{home}/{part}" for part in manifest["parts"]} == {key for key in keys if key.endswith(".parquet")} - {
        "runs/demo/plan.parquet"
    }
    assert contents["runs/demo/lease.json"] == b"{}\n", "it is free again"
    assert CANARY not in done.stdout + done.stderr
    assert [key for key, content in contents.items() if CANARY.encode() in content] == []
