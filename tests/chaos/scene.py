"""What chaos happens to: questions with a canary each, a teacher that is counted, a library that can be switched off.

The teacher searches for the names of a question and answers from what it is shown, and the library repeats the query:
so the canary of a question runs through every reply and observation of its row, and belongs in no other row.
A row takes three replies: two searches and the answer.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from commands import Command
from plain_run import generate_here

from fireact_ray.core.errors import FireActError
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.trajectories import read_trajectories
from fireact_ray.core.types import Trajectory
from fireact_ray.demo.teacher.server import ScriptedTeacher
from fireact_ray.recipe.loader import load_recipe, to_yaml
from fireact_ray.recipe.schema import Recipe
from fireact_ray.stages.generate import generate

REPLIES_PER_ROW = 3
IN_FLIGHT = 8  # two workers of four slots, or one of eight
# Two more calls a worker hold a lease already. A reply frees its slot before it is settled and journaled, so a death of
# all workers can cost as many calls as hold a lease.
LEASED = 12

_RECIPE = """
name: run
task: {{name: jsonl, path: {folder}/questions.jsonl}}
search:
  backend: {{kind: retrieve, base_url: '{library}', max_attempts: 2, timeout_s: 60}}
  cache: {{enabled: false}}
teacher:
  model: {{kind: openai, name: {model}, base_url: '{teacher}', api_key_env: null, timeout_s: 600}}
  methods: [react]
  sampling: {{temperature: 0.0, max_new_tokens: 256, seed: 0}}
generate: {{split: train, workers: {workers}, concurrency: 8}}
output_dir: {folder}/runs
ray: {{num_cpus: 4}}
"""


@dataclass
class Scene:
    """A run that something is going to happen to."""

    folder: Path
    teacher: ScriptedTeacher
    library: Library
    canaries: dict[str, str]  # question id -> canary
    _recipe: Path = field(repr=False)

    @property
    def run(self) -> Folder:
        return Folder(f"{self.folder}/runs/run")

    @property
    def rows(self) -> list[Trajectory]:
        return read_trajectories(self.run / "trajectories")

    @property
    def n_requests(self) -> int:
        """All that came to the teacher, answered or not."""
        return self.teacher.stats()["requests"]

    def recipe(self, *overrides: str) -> Recipe:
        return load_recipe(str(self._recipe), overrides)

    def generate(self, *overrides: str) -> Outcome:
        """In this process, as the command line does it."""
        try:
            generate(self.recipe(*overrides))
        except FireActError as error:
            return Outcome(error.exit_code, str(error))
        return Outcome(0)

    def generate_here(self) -> None:
        """Without Ray, for rows to compare with."""
        generate_here(self.recipe())

    @contextmanager
    def command(self, *overrides: str, **env: str) -> Iterator[Command]:
        """`fireact generate` in a process of its own; what is still running of it at the end is killed."""
        recipe = self.folder / "command.yaml"
        recipe.write_text(to_yaml(self.recipe(*overrides)))
        command = Command([sys.executable, "-m", "fireact_ray.cli", "generate", str(recipe)], self.folder, env)
        try:
            yield command
        finally:
            command.kill()
            left = command.left_after(300)
        assert left == [], f"processes outlive their command: {[process.title for process in left]}"

    def finish(self, *overrides: str, code: int = 0, **env: str) -> Command:
        """The same command, let alone."""
        with self.command(*overrides, **env) as command:
            assert command.wait(600) == code, command.said
        return command


@dataclass(frozen=True)
class Outcome:
    code: int
    message: str = ""


@contextmanager
def scene(folder: Path, seed: int, n_rows: int, *, workers: int = 2, **teacher_options: object) -> Iterator[Scene]:
    """`workers`: one is enough where what happens has nothing to do with how many there are.

    `teacher_options`: of ScriptedTeacher (faults, latency, api_key).
    """
    canaries = {f"q{i}": canary(seed, i) for i in range(n_rows)}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "questions.jsonl").open("w") as file:
        for name, word in canaries.items():
            row = {"id": name, "question": f"What does {word} guard near {word} Harbour?", "answer": word}
            file.write(json.dumps(row) + "\n")
    with ScriptedTeacher(**teacher_options) as teacher, Library() as library:
        recipe = folder / "recipe.yaml"
        recipe.write_text(
            _RECIPE.format(
                folder=folder,
                library=library.url,
                teacher=teacher.base_url,
                model=teacher.model_name,
                workers=workers,
            )
        )
        yield Scene(folder, teacher, library, canaries, recipe)


def canary(seed: int, i: int) -> str:
    return "Z" + hashlib.sha256(f"{seed} {i}".encode()).hexdigest()[:12]


def echo(query: str) -> bytes:
    """A hit that is about the query."""
    document = {"contents": f'"{query}"\n{query} is kept by the Warden of {query}.'}
    return json.dumps({"result": [[{"document": document, "score": 1.0}]]}).encode()


class Library:
    """POST /retrieve, and GET of anything with a `q`, on loopback.

    `answered`: queries that got a reply; `keys`: what came along as `api_key`. `off` closes the port, `on` opens it
    again.
    """

    def __init__(self, answer: Callable[[str], bytes] = echo) -> None:
        self.answer = answer
        self.answered: list[str] = []
        self.keys: set[str] = set()
        self.status: Callable[[str], int] = lambda _: 200
        self._port = 0
        self.on()
        self.url = f"http://127.0.0.1:{self._port}"

    def on(self) -> None:
        library = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parameters = parse_qs(urlsplit(self.path).query)
                library.keys |= set(parameters.get("api_key", []))
                library._reply(self, parameters["q"][0])

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                library._reply(self, body["queries"][0])

            def log_message(self, *_: object) -> None: ...

        self._server = _Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def off(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.off()

    def _reply(self, http: BaseHTTPRequestHandler, query: str) -> None:
        status, body = self.status(query), self.answer(query)
        http.send_response(status)
        http.send_header("Content-Type", "application/json")
        http.send_header("Content-Length", str(len(body)))
        http.end_headers()
        http.wfile.write(body)
        self.answered.append(query)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """Clients are killed here on purpose."""
