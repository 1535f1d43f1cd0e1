"""Which ids are trained, stated exactly, for a trajectory of each method."""

import pytest
from fakes import FINISH, SEARCH, ByteTokenizer, agent, question

from fireact_ray.data.examples import to_example
from fireact_ray.rendering import make_renderer

TOKENIZER = ByteTokenizer()
END = 2
ASKED = "Question: Who wrote The Road to Zem?\n"
SEEN = "\nObservation: The Road to Zem is a novel by Ila Dun.\n"

REPLIES = {
    "io": ["Answer: Ila Dun"],
    "cot": ["Thought: Ila Dun wrote it.\nAnswer: Ila Dun"],
    "react": [SEARCH, FINISH],
    "reflexion": [SEARCH, SEARCH, FINISH],
}
# (text, trained); a trained text is followed by the trained end token
EXPECTED = {
    "io": [(ASKED, 0), ("Action: finish[Ila Dun]", 1)],
    "cot": [(ASKED, 0), ("Thought: Ila Dun wrote it.\nAction: finish[Ila Dun]", 1)],
    "react": [(ASKED, 0), (SEARCH, 1), (SEEN, 0), (FINISH, 1)],
    "reflexion": [(ASKED, 0), (SEARCH, 1), (SEEN, 0), (SEARCH, 1), (SEEN, 0), (FINISH, 1)],
}


@pytest.mark.parametrize("method", REPLIES)
async def test_exactly_the_models_own_turns_and_their_end_tokens_are_trained(method):
    trajectory = await agent(*REPLIES[method], method=method, few_shot=True).run(question())
    rendered = make_renderer("plain", TOKENIZER).render(to_example(trajectory))

    ids, mask = [], []
    for text, trained in EXPECTED[method]:
        piece = TOKENIZER.encode(text) + ([END] if trained else [])
        ids += piece
        mask += [trained] * len(piece)
    assert rendered.input_ids == ids
    assert rendered.loss_mask == mask


async def test_the_reflection_request_is_part_of_the_teachers_prompt_only():
    runner = agent(*REPLIES["reflexion"], method="reflexion", few_shot=True)
    trajectory = await runner.run(question())
    assert "Reflect:" in runner.model.asked[2][-1].content
    assert all("Reflect:" not in turn.content for turn in to_example(trajectory))
