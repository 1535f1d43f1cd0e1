import asyncio

from clocks import in_no_time

from fireact_ray.agent.models.base import Completion, Sampling
from fireact_ray.agent.models.slots import Slots, Slotted, begun
from fireact_ray.core.types import Turn
from fireact_ray.core.utils.deadline import bounding

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
    slotted = Slotted(model, Slots(3))
    await asyncio.gather(*(slotted.complete(TURNS, Sampling()) for _ in range(20)))
    assert model.most == 3


@in_no_time
async def test_waiting_for_a_slot_does_not_count_against_the_time_limit():
    slotted = Slotted(SlowModel(0.15), Slots(1))

    async def bounded() -> Completion:
        async with asyncio.timeout(0.4) as timeout:
            with bounding(timeout):
                return await slotted.complete(TURNS, Sampling())

    replies = await asyncio.gather(*(bounded() for _ in range(6)))  # the last one waits for 0.75 s
    assert len(replies) == 6


async def test_the_rollout_that_was_begun_first_goes_first():
    slots, served = Slots(1), []

    async def one(number: int) -> None:
        begun.set(number)
        await slots.acquire()
        served.append(number)
        await asyncio.sleep(0)
        slots.release()

    await asyncio.gather(*(asyncio.create_task(one(number)) for number in (5, 3, 4, 1)))
    assert served == [5, 1, 3, 4]  # 5 found the slot free


async def test_a_caller_that_gives_up_leaves_its_slot_to_the_next():
    slots = Slots(1)
    await slots.acquire()
    gone, next_one = asyncio.create_task(slots.acquire()), asyncio.create_task(slots.acquire())
    await asyncio.sleep(0)
    gone.cancel()
    slots.release()
    gone.cancel()
    await next_one
