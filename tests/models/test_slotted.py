import asyncio

from fireact_ray.deadline import bounding
from fireact_ray.models.base import Completion, Sampling
from fireact_ray.models.slotted import Slotted
from fireact_ray.types import Turn

TURNS = (Turn("user", "q"),)


class SlowModel:
    name = "slow"

    def __init__(self, seconds: float) -> None:
        self.seconds, self.in_flight, self.most = seconds, 0, 0

    async def complete(self, turns, sampling) -> Completion:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        await asyncio.sleep(self.seconds)
        self.in_flight -= 1
        return Completion("x")

    async def close(self) -> None: ...


async def test_no_more_calls_are_in_flight_than_there_are_slots():
    model = SlowModel(0.01)
    slotted = Slotted(model, asyncio.Semaphore(3))
    await asyncio.gather(*(slotted.complete(TURNS, Sampling()) for _ in range(20)))
    assert model.most == 3


async def test_waiting_for_a_slot_does_not_count_against_the_time_limit():
    slotted = Slotted(SlowModel(0.15), asyncio.Semaphore(1))

    async def bounded() -> Completion:
        async with asyncio.timeout(0.4) as timeout:
            with bounding(timeout):
                return await slotted.complete(TURNS, Sampling())

    replies = await asyncio.gather(*(bounded() for _ in range(6)))  # the last one waits for 0.75 s
    assert len(replies) == 6
