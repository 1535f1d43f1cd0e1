"""The agents of a recipe as one Ray Serve application, for `fireact serve` and for Serve's own tools alike:

    serve run fireact_ray.stages.application:build recipe=hotpotqa
    serve deploy serve.yaml                     # a file that `fireact serve hotpotqa --print-config` wrote
    FIREACT_RECIPE=hotpotqa serve build fireact_ray.stages.application:app

    proxy -> agent -> engine    one deployment for each model, or for each base and its adapters
                   -> search

Each deployment has its replicas and scales by its own work.
"""

# No postponed annotations here: Serve reads the type of `build`'s argument, and passes a plain dict where it is a name.
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from ray import serve as ray_serve
from ray.serve import Application, Deployment
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy, BackpressureConfig
from ray.serve.schema import LoggingConfig

from fireact_ray.core.errors import InputError
from fireact_ray.recipe.hosted import hosted_agents, open_api
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.models import ScriptedModelConfig
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.search import open_backend
from fireact_ray.recipe.serving import PROXY_GRACE_S, PartConfig, ServeConfig
from fireact_ray.recipe.student import StudentAgents, base_of, open_renderer, student_dir
from fireact_ray.recipe.students import HostedStudentConfig
from fireact_ray.recipe.system_agents import opened_systems
from fireact_ray.recipe.systems import Entry, StudentSystem, TeacherSystem
from fireact_ray.recipe.teacher import TeacherAgents
from fireact_ray.recipe.trials import Trial
from fireact_ray.recipe.vllm_student import demand_vllm
from fireact_ray.serving.edge_reply import RETRY_AFTER_S
from fireact_ray.stages.actors.engine_server import EngineServer
from fireact_ray.stages.actors.own_work import by_own_work
from fireact_ray.stages.actors.replicas import AGENT, ENGINE, SEARCH
from fireact_ray.stages.actors.search_server import SearchServer
from fireact_ray.stages.actors.vllm_server import VllmServer
from fireact_ray.stages.deployments import AgentServer, ServedSystem
from fireact_ray.stages.serve_settings import keys_of, settings_of

NAME = "fireact"  # of the application
RECIPE = "FIREACT_RECIPE"
CPUS = {AGENT: 0.25, ENGINE: 0.5, SEARCH: 0.0}
_ROOM = 64  # for what is no question, and for those that a replica itself refuses: it says more than Serve does
_LOOK_S = 2.0  # how often Serve looks whether a replica is alive; a dead one is replaced so much later
_DELAYS = ("upscale_delay_s", "downscale_delay_s")
_MANY = 100_000  # so that calls wait inside a replica: Serve's routers ask around for as long as one waits with them


class BuildArgs(BaseModel):
    """What `build` takes. `recipe`: a file on the node that builds, or a shipped name. `overrides`: as of --set, one or
    a list."""

    model_config = ConfigDict(extra="forbid")

    recipe: str
    overrides: Annotated[
        tuple[str, ...], BeforeValidator(lambda given: [given] if isinstance(given, str) else given)
    ] = ()


def build(args: BuildArgs) -> Application:
    """Raises InputError for a missing model, key or corpus, before anything is deployed."""
    return application(load_recipe(args.recipe, args.overrides))


def __getattr__(name: str) -> Application:
    """`app`, for `serve build`, which takes no arguments: of the recipe that the environment names."""
    if name != "app" or RECIPE not in os.environ:
        raise AttributeError(f"there is no {name} here; `app` is built of the recipe that ${RECIPE} names")
    return build(BuildArgs(recipe=os.environ[RECIPE]))


def application(recipe: Recipe, engine_server: type[EngineServer] | None = None) -> Application:
    """The graph of deployments. `engine_server`: what answers in the place of models. Raises InputError for what is
    missing here."""
    config = recipe.serve
    keys_of(config)
    fingerprint = open_backend(recipe.search).fingerprint
    systems = served_systems(recipe)
    longest_s = config.proxy_timeout_s + PROXY_GRACE_S
    if config.engine.kind == "vllm" and engine_server is None:
        demand_vllm(config.engine.vllm)
    server = engine_server or (VllmServer if config.engine.kind == "vllm" else EngineServer)
    models_of = models_of_each_engine(systems)
    at_a_node = config.engine.max_replicas_per_node or config.engine.min_replicas or config.replicas
    engines = {
        name: _part(server, name, config.engine, config.replicas, longest_s)
        .options(ray_actor_options=_of_an_engine(config))
        .bind(models, longest_s, at_a_node * len(models_of))
        for name, models in models_of.items()
    }
    n_search = recipe.search.actors
    most = config.search.max_replicas or config.search.min_replicas or n_search
    search = _part(SearchServer, SEARCH, config.search, n_search, longest_s).bind(recipe.search, fingerprint, 1 / most)
    agent = _part(ray_serve.ingress()(AgentServer), AGENT, config.agent, config.replicas, longest_s).options(
        max_ongoing_requests=config.max_ongoing_requests + config.max_queued + _ROOM,
        max_queued_requests=_ROOM,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=RETRY_AFTER_S),
    )
    settings = settings_of(recipe, {system.model_id: _made_at(system) for system in systems})
    return agent.bind(recipe, systems, settings, fingerprint, search, engines, longest_s)


def served_systems(recipe: Recipe) -> list[ServedSystem]:
    """The agents of `serve.systems`, each with its model id, the fine-tuned one first: the page and other clients begin
    with the first. Those of one model share its engine, or those of one base.

    Raises InputError for a model that is not there or has another renderer, and for a teacher that is only played.
    """
    for entry in recipe.serve.systems:
        if isinstance(entry, TeacherSystem) and isinstance(entry.model or recipe.teacher.model, ScriptedModelConfig):
            raise InputError(f"serve.systems: '{entry.name}' is a scripted teacher, which no server can outlive.")
    agents = {entry.name: _agents(recipe, entry) for entry in recipe.serve.systems}
    by_base = recipe.serve.engine.shares_base
    weights = {
        name: str(base_of(one.model_dir)) if by_base else one.model_key
        for name, one in agents.items()
        if isinstance(one, StudentAgents)
    }
    several = list(dict.fromkeys(weights.values()))
    engines = {each: ENGINE if len(several) == 1 else f"{ENGINE}-{n}" for n, each in enumerate(several, 1)}
    return [
        ServedSystem(model_id(recipe, name), one, engines[weights[name]] if name in weights else None)
        for name, one in sorted(agents.items(), key=lambda named: named[0] != "finetuned")
    ]


def _agents(recipe: Recipe, entry: Entry) -> StudentAgents | TeacherAgents:
    """The recipe's student as it is evaluated, without a look at what only an evaluation needs."""
    on_gpu, student = recipe.serve.use_gpu, recipe.student
    if not isinstance(entry, StudentSystem):
        on_device = recipe.evaluate.model_copy(update={"use_gpu": on_gpu})
        with opened_systems(recipe.model_copy(update={"evaluate": on_device}), [Trial(entry)]) as (system,):
            assert isinstance(system.builder, StudentAgents | TeacherAgents)
            return system.builder
    if isinstance(student, HostedStudentConfig):
        open_api(student)
        return hosted_agents(recipe, entry.kind, entry.method)
    try:
        folder = student_dir(recipe, entry.kind)
    except InputError as error:
        base = "Or serve the base alone, for which nothing need be trained: --set 'serve.systems=[base]'."
        raise InputError(f"{error} {base}") from None
    open_renderer(folder, student)  # what does not match is found here, not in a replica
    return StudentAgents(recipe, folder, entry.kind == "base", on_gpu, method=entry.method)


def _made_at(system: ServedSystem) -> int:
    """Seconds since the epoch: of the model's folder, where it is one of this machine."""
    folder = Path(system.agents.model_dir) if isinstance(system.agents, StudentAgents) else None
    return int(folder.stat().st_mtime if folder is not None and folder.is_dir() else time.time())


def model_id(recipe: Recipe, system: str) -> str:
    """Under which clients ask for a system: the fine-tuned agent goes by the recipe's name alone."""
    return f"fireact/{recipe.name}" + ("" if system == "finetuned" else f"-{system}")


def models_of_each_engine(systems: Sequence[ServedSystem]) -> dict[str, tuple[StudentAgents, ...]]:
    """By engine deployment; each model once, by the first of its systems."""
    engines: dict[str, dict[str, StudentAgents]] = {}
    for system in systems:
        if system.engine is not None and isinstance(system.agents, StudentAgents):
            engines.setdefault(system.engine, {}).setdefault(system.agents.model_key, system.agents)
    return {name: tuple(models.values()) for name, models in engines.items()}


def engine_takes(config: ServeConfig) -> dict[str, float]:
    """Of an engine replica, by Ray's names."""
    return {"CPU": CPUS[ENGINE], "GPU": float(config.use_gpu) * config.engine.vllm.tensor_parallel_size}


def _of_an_engine(config: ServeConfig) -> dict[str, Any]:
    """What Ray gives to a replica."""
    takes, python = engine_takes(config), config.engine.vllm.python
    options: dict[str, Any] = {"num_cpus": takes["CPU"], "num_gpus": takes["GPU"]}
    return options if python is None else {**options, "runtime_env": {"py_executable": python}}


def _part(
    server: Callable[..., Any], name: str | None, part: PartConfig, replicas: int, longest_s: float
) -> Deployment:
    """A deployment with its replicas. It may take as long to drain as a question can last."""
    least = part.min_replicas or replicas
    most = max(least, part.max_replicas or least)
    options: dict[str, Any] = {"num_replicas": least}
    # Unset where there is none: Serve writes a null that was given into what `serve build` makes, and refuses it there.
    spread = {} if part.max_replicas_per_node is None else {"max_replicas_per_node": part.max_replicas_per_node}
    if most > least:
        given = {name: value for name in _DELAYS if (value := getattr(part, name)) is not None}
        policy = AutoscalingPolicy(policy_function=by_own_work)
        target = part.target_ongoing_requests
        options = {
            "autoscaling_config": AutoscalingConfig(
                min_replicas=least, max_replicas=most, target_ongoing_requests=target, policy=policy, **given
            )
        }
    deployment: Deployment = ray_serve.deployment(
        name=name,
        max_ongoing_requests=_MANY,
        max_queued_requests=_MANY,
        graceful_shutdown_timeout_s=longest_s,
        health_check_period_s=_LOOK_S,
        logging_config=LoggingConfig(enable_access_log=False),  # the agent has a line of its own for each request
        ray_actor_options={"num_cpus": CPUS.get(name or ENGINE, 0.5)},
        **options,
        **spread,
    )(server)
    return deployment
