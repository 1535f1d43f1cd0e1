"""docs/serving.md: what it shows to be written into a recipe is read as one. Its questions are asked in
test_application."""

import itertools
import re
import shlex

import pytest
import yaml
from documents import DOCS, blocks, commands

from fireact_ray.recipe.loader import load_recipe, to_yaml, validated
from fireact_ray.recipe.serving import ServeConfig
from fireact_ray.serving.keys import Keys, new_key

DOC = "serving.md"
TEXT = (DOCS / DOC).read_text(encoding="utf-8")


@pytest.mark.parametrize("block", blocks(DOC, "yaml"), ids=lambda block: block.split("\n")[1].strip()[:40])
def test_what_is_shown_of_a_recipe_is_read_as_it_stands(block):
    whole = yaml.safe_load(to_yaml(load_recipe("demo")))
    shown = yaml.safe_load(block)
    for section, lines in shown.items():
        whole[section] = {**whole.get(section, {}), **lines}
    recipe = validated(DOC, whole)
    for section, lines in shown.items():
        assert set(lines) <= set(type(getattr(recipe, section)).model_fields)


@pytest.mark.parametrize("command", [command for command in commands(DOC, "fireact") if " --set " in command])
def test_the_settings_of_each_command_are_those_of_a_recipe(command):
    words = shlex.split(command.partition(" > ")[0])
    overrides = [value for flag, value in itertools.pairwise(words) if flag == "--set"]
    assert load_recipe(words[2], overrides).serve != load_recipe(words[2]).serve


def test_each_setting_that_is_named_is_one():
    named = set(re.findall(r"(?<!ray\.)serve\.([a-z_]+)", TEXT)) - {"yaml"}
    assert named - {"deployment"} <= set(ServeConfig.model_fields)
    assert len(named) > 10


def test_a_file_of_keys_is_as_it_is_described(tmp_path):
    assert "`name: sha256 of the key in hex`" in TEXT
    import hashlib

    key = new_key()
    (tmp_path / "keys").write_text(f"alice: {hashlib.sha256(key.encode()).hexdigest()}\n")
    assert Keys.read(str(tmp_path / "keys")).name_of(key) == "alice"
