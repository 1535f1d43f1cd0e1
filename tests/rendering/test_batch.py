"""Many conversations at once against one at a time, for every renderer and tokenizer."""

import pytest

from fireact_ray.core.types import Turn
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.batch import render_batch

from . import tokenizers
from .tokenizers import PAIRS

pytestmark = pytest.mark.torch  # transformers

REPLY = "Thought: I look for Zem.\nAction: search[Zem]"
CONVERSATIONS = [
    (Turn("user", "Where is Zem?"),),
    (Turn("system", "Be brief."), Turn("user", "Where is Zem?"), Turn("assistant", REPLY, trained=True)),
    (
        Turn("user", "Where is Zem?"),
        Turn("assistant", REPLY),
        Turn("user", "Observation: Zem </s> is a city."),
        Turn("assistant", REPLY, trained=True),
    ),
]


@pytest.mark.parametrize(("tokenizer", "name"), PAIRS)
def test_a_batch_is_its_conversations_one_by_one(tokenizer, name):
    renderer = make_renderer(name, tokenizers.tokenizer(tokenizer))
    batch = render_batch(renderer, CONVERSATIONS)
    assert batch.offsets[-1] == len(batch.input_ids) == len(batch.loss_mask)
    for turns, start, end in zip(CONVERSATIONS, batch.offsets[:-1], batch.offsets[1:], strict=True):
        alone = renderer.render(turns)
        assert batch.input_ids[start:end].tolist() == alone.input_ids
        assert batch.loss_mask[start:end].tolist() == alone.loss_mask
