"""What each node is started with, by the descriptions of Amazon's and Google's APIs, which their clients hold."""

import importlib.util
import json
from pathlib import Path

import pytest
from manifests import LAUNCHERS, document

NODES = {file.stem: document(file)["available_node_types"] for file in LAUNCHERS}


def absent(module):
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed")


@absent("botocore")
@pytest.mark.parametrize("name", NODES["aws"])
def test_amazon_takes_what_a_node_is_started_with(name):
    import botocore.session
    from botocore.validate import ParamValidator

    api = botocore.session.get_session().get_service_model("ec2")
    given = NODES["aws"][name]["node_config"]
    shape = api.operation_model("RunInstances").input_shape
    assert ParamValidator().validate({**given, "MinCount": 1, "MaxCount": 1}, shape).generate_report() == ""
    assert ParamValidator().validate({**given, "MinCount": 1, "InstanceTyp": "x"}, shape).has_errors()
    assert given["InstanceType"] in api.shape_for("InstanceType").enum


@absent("googleapiclient")
@pytest.mark.parametrize("name", NODES["gcp"])
def test_google_takes_what_a_node_is_started_with(name):
    import googleapiclient

    path = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / "compute.v1.json"
    schemas = json.loads(path.read_text())["schemas"]
    given = NODES["gcp"][name]["node_config"]
    assert list(refused(given, schemas["Instance"], schemas)) == []
    misspelt = {**given, "scheduling": [{"preemptible": True}], "machinType": "x"}
    assert list(refused(misspelt, schemas["Instance"], schemas)) == ["scheduling", "machinType"]


def refused(value, schema, schemas, where=""):
    """Places of unknown keys and of values of another type."""
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    types = {"object": dict, "array": list, "string": (str, int), "boolean": bool, "integer": int}
    if not isinstance(value, types[schema["type"]]) or ("enum" in schema and value not in schema["enum"]):
        yield where
    elif isinstance(value, dict):
        known = schema.get("properties", {})
        for key, inner in value.items():
            place = f"{where}.{key}".lstrip(".")
            if key in known:
                yield from refused(inner, known[key], schemas, place)
            else:
                yield place
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from refused(inner, schema["items"], schemas, f"{where}.{n}")
