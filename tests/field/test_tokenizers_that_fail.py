"""A tokenizer or a chat template of others that fails says so in one sentence, whatever it raises."""

import json
import shutil

import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.core.paths import NANO_DIR
from fireact_ray.rendering.tokenizer import HubTokenizer

pytestmark = pytest.mark.torch


@pytest.fixture
def folder(tmp_path):
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        shutil.copy(NANO_DIR / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "change", [{"type": "BPE2"}, {"type": "BPE", "merges": [[1, 2]]}, {"vocab": None}], ids=["kind", "merges", "vocab"]
)
def test_a_definition_of_an_unknown_kind(change, folder):
    definition = json.loads((folder / "tokenizer.json").read_text())
    definition["model"].update(change)
    (folder / "tokenizer.json").write_text(json.dumps(definition))
    with pytest.raises(InputError, match=r"Tokenizer of '.*' could not be loaded: ") as caught:
        HubTokenizer.load(str(folder))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "template",
    [
        '{{ messages[0].content[messages[0].content.index("</think>"):] }}',
        "{{ messages[9].content.x.y }}",
        "{{ 1 / 0 }}",
        "{{ raise_exception('roles must alternate') }}",
        "{% for %}",
    ],
    ids=["ValueError", "undefined", "ZeroDivisionError", "refusal", "syntax"],
)
def test_a_template_raises_anything(template, folder):
    (folder / "chat_template.jinja").write_text(template)
    tokenizer = HubTokenizer.load(str(folder))
    with pytest.raises(InputError, match=r"The chat template of .* failed: .+\.") as caught:
        tokenizer.fill_template([{"role": "user", "content": "Q?"}], None, ask=True)
    assert len(str(caught.value).splitlines()) == 1
