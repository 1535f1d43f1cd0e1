"""The Serve config file of a recipe, which `serve deploy`, `serve run` and KubeRay's RayService take.

Serve drops keys that it does not know, such as a misspelt `num_replica`, without a word; here each is a problem.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from ray.serve.schema import HTTPOptionsSchema, ServeDeploySchema

from fireact_ray.core.errors import InputError, RecipeError
from fireact_ray.core.utils.text import nearest
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.recipe.schema import Recipe
from fireact_ray.recipe.serving import LOOPBACK_HOSTS, ServeConfig
from fireact_ray.stages.application import NAME, RECIPE, BuildArgs

BUILDER, APP = "fireact_ray.stages.application:build", "fireact_ray.stages.application:app"
_HOST_OF_SERVE = HTTPOptionsSchema().host  # where a file names none


def serve_config(recipe: Recipe, source: str, overrides: Sequence[str]) -> dict[str, Any]:
    """`source` and `overrides`: by which the recipe was loaded, and will be where the application is built."""
    config = recipe.serve
    port = config.port or ServeConfig().port  # any free one is for a command that says which
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": config.host, "port": port, "request_timeout_s": config.proxy_timeout_s},
        "applications": [
            {
                "name": NAME,
                "route_prefix": "/",
                "import_path": BUILDER,
                "args": {"recipe": source, "overrides": list(overrides)},
            }
        ],
    }


def to_serve_yaml(recipe: Recipe, source: str, overrides: Sequence[str]) -> str:
    text: str = yaml.safe_dump(serve_config(recipe, source, overrides), sort_keys=False)
    return text


def check_serve_config(path: Path) -> str:
    """Of a Serve config, or of a RayService manifest, which holds one. Returns what it deploys.

    Raises InputError with all problems: keys that Serve would drop, and what it would refuse.
    """
    data = _read(path)
    problems = [f"{path.name}: {problem}" for problem in unknown_keys(data, ServeDeploySchema)]
    problems += [f"{path.name}: {problem}" for problem in _refused(data, ServeDeploySchema)]
    notes = []
    for application in data.get("applications") or ():
        if isinstance(application, Mapping) and (args := _args_of(application)) is not None:
            found, note = _of_our_builder(args, data.get("http_options") or {})
            problems += [f"{path.name}: {problem}" for problem in found]
            notes += [note] if note else []
    if problems:
        raise InputError("\n".join(problems))
    deployed = [f"{one['name']} at {one.get('route_prefix', '/')}" for one in data["applications"]]
    return "; ".join([", ".join(deployed), *notes])


def _args_of(application: Mapping[str, Any]) -> Any:
    """Of our builder; None where the application is another's."""
    if application.get("import_path") == BUILDER:
        return application.get("args", {})
    if application.get("import_path") != APP:
        return None
    environment = (application.get("runtime_env") or {}).get("env_vars") or os.environ
    return {"recipe": environment.get(RECIPE, f"${RECIPE}")}


def _of_our_builder(args: Any, http: Mapping[str, Any]) -> tuple[list[str], str]:
    """Problems, and a note of what could not be looked at here."""
    if problems := _refused(args, BuildArgs):
        return [f"args.{problem}" for problem in problems], ""
    given = BuildArgs.model_validate(args)
    try:
        serve = load_recipe(given.recipe, given.overrides).serve
    except RecipeError as error:
        return str(error).splitlines(), ""
    except InputError:
        return [], f"its recipe '{given.recipe}' is not on this machine and was not checked"
    problems, asked_s = [], serve.request_timeout_s
    proxy_s, host = http.get("request_timeout_s"), http.get("host", _HOST_OF_SERVE)
    if proxy_s is not None and proxy_s <= asked_s:
        move = f"leave the proxy more time than serve.request_timeout_s ({asked_s:g}), or answers are cut off by it"
        problems.append(f"http_options.request_timeout_s: {proxy_s:g}; {move}")
    if serve.is_for_this_machine and host not in LOOPBACK_HOSTS:
        move = "set host: 127.0.0.1, or serve.api_key_env or serve.keys_file in the recipe"
        problems.append(f"http_options.host: {host}; without a key only this machine is answered: {move}")
    return problems, ""


def unknown_keys(data: Any, model: type[BaseModel], where: str = "") -> Iterator[str]:
    """Every key, at any depth, for which `model` has no field."""
    if not isinstance(data, Mapping):
        return
    names = {**{name: name for name in model.model_fields}, **_aliases(model)}
    for key, value in data.items():
        path = f"{where}.{key}" if where else str(key)
        if key not in names:
            hint = f" Did you mean '{near}'?" if (near := nearest(str(key), names)) else ""
            yield f"{path}: Serve has no such key, and would drop it.{hint}"
            continue
        inner = _model_in(model.model_fields[names[key]].annotation)
        if inner is not None:
            several = value if isinstance(value, list) else [value]
            for n, one in enumerate(several):
                yield from unknown_keys(one, inner, f"{path}.{n}" if isinstance(value, list) else path)


def _aliases(model: type[BaseModel]) -> dict[str, str]:
    return {field.alias: name for name, field in model.model_fields.items() if field.alias is not None}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation holds, as that of `list[Model] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner))), None)


def _refused(data: Any, model: type[BaseModel]) -> list[str]:
    try:
        model.model_validate(data)
    except ValidationError as error:
        return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return []


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        if isinstance(data, dict) and data.get("kind") == "RayService":
            data = yaml.safe_load(data["spec"]["serveConfigV2"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(f"{path}: no Serve config can be read there ({type(error).__name__}: {error})") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: a Serve config is a mapping, this is a {type(data).__name__}.")
    return data
