import json
from pathlib import Path

import pytest

from fireact_ray.agent.tools.config import SearchConfig
from fireact_ray.agent.tools.replay import ReplayBackend
from fireact_ray.agent.tools.search import SearchTool
from fireact_ray.core.errors import InputError
from fireact_ray.core.types import Hit, Observation, ObservationStatus
from fireact_ray.recipe.search import open_recording

RELEASED = Path(__file__).parents[4] / "shared/data/fireact/finetune/hotpotqa_multimethod_chat.jsonl"

RECORDING = [
    ("Lake Tarn depth", "Lake Tarn is 410 m deep."),
    ("height of Mount Orr", "Mount Orr rises to 2,318 m."),
    ("unknown ruler of Zem", ""),
    ("Lake Tarn depth", "Lake Tarn: greatest depth 410 m."),
]


async def test_a_recorded_query_gives_its_own_texts_whatever_its_case_and_punctuation():
    hits = await ReplayBackend(RECORDING).search("lake tarn, depth?", 5)
    assert hits == [
        Hit("", "Lake Tarn is 410 m deep.", 1.0),
        Hit("", "Lake Tarn: greatest depth 410 m.", 1.0),
    ]
    assert len(await ReplayBackend(RECORDING).search("Lake Tarn depth", 1)) == 1


async def test_another_query_gets_what_the_most_similar_recorded_one_got():
    # Shares {height, mount, orr} of the 5 words in either query.
    assert await ReplayBackend(RECORDING).search("Mount Orr height metres", 1) == [
        Hit("", "Mount Orr rises to 2,318 m.", 0.6)
    ]


async def test_too_little_in_common_finds_nothing():
    backend = ReplayBackend(RECORDING)
    assert await backend.search("capital of Zemland", 3) == []
    assert await backend.search("", 3) == []
    assert await ReplayBackend(RECORDING, threshold=0.7).search("Mount Orr height metres", 1) == []


async def test_a_search_that_found_nothing_finds_nothing_again():
    observation = await SearchTool(ReplayBackend(RECORDING))("unknown ruler of Zem")
    assert observation == Observation("No results found.", ObservationStatus.EMPTY)


def test_the_fingerprint_names_the_content():
    assert ReplayBackend(RECORDING).fingerprint == ReplayBackend(tuple(RECORDING)).fingerprint
    assert ReplayBackend(RECORDING).fingerprint != ReplayBackend(RECORDING[:2]).fingerprint
    assert ReplayBackend(RECORDING).fingerprint != ReplayBackend(RECORDING, threshold=0.5).fingerprint


async def test_recordings_are_read_from_jsonl(tmp_path):
    path = tmp_path / "recording.jsonl"
    path.write_text("\n".join(json.dumps({"query": q, "text": t}) for q, t in RECORDING), encoding="utf-8")
    assert open_recording(path).fingerprint == ReplayBackend(RECORDING).fingerprint


async def test_recordings_are_read_from_released_trajectories(tmp_path):
    messages = [
        {"role": "user", "content": "How deep is Lake Tarn?"},
        {"role": "assistant", "content": "Thought: I look.\nAction: search[Lake Tarn]"},
        {"role": "user", "content": "Observation: None"},
        {"role": "assistant", "content": "Thought: Again.\nAction: search[Lake Tarn depth]"},
        {"role": "user", "content": "Observation: It is 410 m deep."},
        {"role": "assistant", "content": "Thought: Done.\nAction: finish[410 m]"},
        {"role": "user", "content": "Observation: Episode finished, reward = 1"},
    ]
    path = tmp_path / "chat.jsonl"
    path.write_text(json.dumps({"messages": messages}), encoding="utf-8")
    backend = open_recording(path)
    assert await backend.search("Lake Tarn depth", 1) == [Hit("", "It is 410 m deep.", 1.0)]
    assert await backend.search("Lake Tarn", 1) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        (
            '{"query": "a", "text": "b"}\n{"query": "a"}\n',
            "line 2: expected an object with texts 'query' and",
        ),
        ('{"title": "a"}\n', "expected rows with 'messages'"),
    ],
)
def test_a_bad_recording_is_refused(tmp_path, text, message):
    path = tmp_path / "recording.jsonl"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        open_recording(path)


@pytest.mark.skipif(not RELEASED.is_file(), reason="FireAct's released data is not at ../shared/data")
async def test_a_released_search_is_answered_as_google_did():
    backend = open_recording(RELEASED)
    for query in ("Palash Sen pop band", "which pop band did Palash Sen found"):
        (hit,) = await backend.search(query, 1)
        assert hit.text.startswith("He is known as the founder and frontman of India's Rock/Pop band Euphoria.")


def test_a_missing_recording_is_named_as_one(tmp_path):
    config = SearchConfig(backend={"kind": "replay", "path": str(tmp_path / "none.jsonl")})
    with pytest.raises(InputError, match=r"Recording .*none\.jsonl: no such file"):
        config.shaping()
