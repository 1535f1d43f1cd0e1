"""bespokelabs-curator on our single-turn prompts: started by `generation`, runs in an environment that has curator.

Its token counter loads an encoding from the network, which a benchmark must not need: the tokenizer is replaced by one
that counts four characters as a token. That spares curator work, so the comparison leans to its side.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fireact_ray.recipe.schema import Recipe
    from fireact_ray.rollouts.plan import Planned


def run_curator(python: str, recipe: Recipe, planned: Sequence[Planned]) -> None:
    """From our side: hand it the same requests, wait for the end."""
    from benchmarks.chains import request_body
    from fireact_ray.recipe.search import open_backend
    from fireact_ray.recipe.teacher import TeacherAgents

    (agent,) = TeacherAgents(recipe, opened=False)(open_backend(recipe.search)).values()
    bodies = [request_body(agent, row.question, row.attempt, []) for row in planned]
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        job.write_text(
            json.dumps(
                {
                    "base_url": recipe.teacher.model.base_url,
                    "model": bodies[0]["model"],
                    "concurrency": recipe.generate.concurrency,
                    "generation": {k: v for k, v in bodies[0].items() if k not in ("model", "messages")},
                    "conversations": [body["messages"] for body in bodies],
                    "folder": folder,
                }
            )
        )
        done = subprocess.run([python, __file__, str(job)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"curator failed:\n{done.stderr[-4000:]}")


def _main(job: dict[str, Any]) -> None:
    """From curator's side."""
    import os

    import tiktoken

    class FourCharacters:
        def encode(self, text: str, **_: Any) -> list[int]:
            return [0] * (len(text) // 4)

    tiktoken.get_encoding = lambda name: FourCharacters()
    os.environ |= {
        "CURATOR_CACHE_DIR": job["folder"],
        "TELEMETRY_ENABLED": "false",
        "CURATOR_DISABLE_RICH_DISPLAY": "1",
        "HF_HUB_OFFLINE": "1",
        "OPENAI_API_KEY": "none-needed",
    }
    from bespokelabs import curator

    class Asked(curator.LLM):
        def prompt(self, row: dict[str, Any]) -> list[dict[str, str]]:
            return json.loads(row["messages"])

        def parse(self, row: dict[str, Any], response: str) -> dict[str, str]:
            return {"answer": response}

    llm = Asked(
        model_name=job["model"],
        backend="openai",
        backend_params={
            "base_url": job["base_url"],
            "max_requests_per_minute": 10_000_000,
            "max_tokens_per_minute": 10_000_000_000,
            "max_concurrent_requests": job["concurrency"],
        },
        generation_params=job["generation"],
    )
    answered = llm([{"messages": json.dumps(messages)} for messages in job["conversations"]])
    dataset = getattr(answered, "dataset", answered)
    if len(dataset) != len(job["conversations"]):
        raise SystemExit(f"curator returned {len(dataset)} of {len(job['conversations'])} rows")


if __name__ == "__main__":
    _main(json.loads(Path(sys.argv[1]).read_text()))
