"""Messages between processes: what is put in at one end comes out at the other."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireact_ray.core.json_text import NotJson
from fireact_ray.core.net.rpc_wire import Lines, Outbox

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return False


def travelled(*entries, cut_at: int = 0) -> list:
    """Through both ends, in two pieces."""

    async def sent() -> bytes:
        wire = Wire()
        outbox = Outbox(wire)
        for entry in entries:
            outbox.put(entry)
        return wire.sent

    whole, lines = asyncio.run(sent()), Lines()
    return [*lines.entries(whole[:cut_at]), *lines.entries(whole[cut_at:])]


@given(st.lists(VALUES, max_size=3), st.integers(0, 60))
def test_every_json_value_arrives_as_it_was_sent_however_it_is_cut(values, cut_at):
    assert travelled(*([n, value] for n, value in enumerate(values)), cut_at=cut_at) == [
        [n, value] for n, value in enumerate(values)
    ]


def test_numbers_that_json_does_not_know_and_half_a_character_arrive_as_python_reads_them():
    ((_, far, none, half),) = travelled([0, -math.inf, math.nan, "a\ud83d"])
    assert (far, math.isnan(none), half) == (-math.inf, True, "a\ufffd")
    assert travelled([0, (1, 2), 2**70, "Größe 中文 \n\x00"]) == [[0, [1, 2], 2**70, "Größe 中文 \n\x00"]]


def test_what_is_no_json_is_refused_at_either_end():
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        travelled([0, object()])
    with pytest.raises(NotJson, match="expecting value"):
        list(Lines().entries(b"[[0, oops]]\n"))
