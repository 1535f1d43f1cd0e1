"""Both ends of a conversation in one process: Serve is played by a handle that knows the replicas."""

import asyncio

import pytest
from ray.exceptions import RayActorError
from ray.serve.exceptions import RayServeException

from fireact_ray.agent.models.base import Sampling
from fireact_ray.agent.models.engines.base import Generation
from fireact_ray.core.errors import ModelUnavailable, TokenLimit
from fireact_ray.stages.actors import conversations, engine_server, replicas
from fireact_ray.stages.actors.conversations import EnginePool
from fireact_ray.stages.actors.engine_server import EngineServer

pytestmark = pytest.mark.ray  # which these import

GREEDY = Sampling(max_new_tokens=8, stop=("\n",), seed=3)


class Engine:
    """Replies with what it was asked, and its name; waits for `release` where the first id is 0, cannot take a 9."""

    def __init__(self, name: int) -> None:
        self.name, self.max_context = name, 64
        self.asked: list[tuple[list[int], Sampling]] = []
        self.called_off = 0
        self.release = asyncio.Event()

    async def generate(self, prompt_ids, sampling):
        self.asked.append((prompt_ids, sampling))
        if prompt_ids[0] == 9:
            raise TokenLimit("too long")
        if prompt_ids[0] == 0:
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.called_off += 1
                raise
        return Generation((self.name, *prompt_ids), "stop")


class Replica(EngineServer):
    is_dead = False

    @staticmethod
    def _opened(models):
        return {"a": Engine(models)}

    @property
    def engine(self) -> Engine:
        return self._engines["a"]

    leave = EngineServer.__del__  # which Serve awaits

    def __del__(self):
        """Python's, which would await nothing."""

    async def where(self):
        if self.is_dead:
            raise RayActorError
        address = await self._server.address("127.0.0.1")
        return [address.host, address.port, address.token]

    async def die(self) -> None:
        self.is_dead = True
        await self._server.close()


class Handle:
    """Of a deployment with these replicas."""

    def __init__(self, *replicas: Replica) -> None:
        self.replicas = list(replicas)

    def broadcast(self, method):
        assert method == "where"
        return self

    async def results_async(self, *, timeout_s, return_exceptions):
        if not self.replicas:
            raise RayServeException
        return await asyncio.gather(*(one.where() for one in self.replicas), return_exceptions=return_exceptions)


@pytest.fixture
def two(monkeypatch):
    monkeypatch.setattr(engine_server, "forward_warnings", lambda: None)  # by Ray, which is not here
    monkeypatch.setattr(conversations, "_PAUSES_S", (0.01, 0.01, 0.01))
    monkeypatch.setattr(replicas, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(replicas, "_PAUSE_S", 0.01)
    return Replica(1, 60.0), Replica(2, 60.0)


async def until_at_work(n: int, *replicas: Replica) -> None:
    for _ in range(2000):
        if sum([await replica.at_work() for replica in replicas]) == n:
            return
        await asyncio.sleep(0.001)
    raise AssertionError([await replica.at_work() for replica in replicas])


async def test_the_steps_of_a_conversation_stay_at_one_replica_and_others_go_elsewhere(two):
    pool = EnginePool(Handle(*two), 64, "a")

    async def question(first: int) -> set[int]:
        async with pool.conversation():
            return {(await pool.generate([first, n], GREEDY)).ids[0] for n in range(5)}

    assert await asyncio.gather(question(7), question(8)) in ([{1}, {2}], [{2}, {1}])
    assert {sampling for replica in two for _, sampling in replica.engine.asked} == {GREEDY}
    await until_at_work(0, *two)
    await pool.close()


async def test_a_conversation_counts_from_its_first_step_to_its_end(two):
    pool = EnginePool(Handle(two[0]), 64, "a")
    async with pool.conversation():
        assert await two[0].at_work() == 0
        await pool.generate([7], GREEDY)
        await until_at_work(1, two[0])
        await pool.generate([7, 1], GREEDY)
        assert await two[0].at_work() == 1
    await until_at_work(0, two[0])
    await pool.close()


async def test_a_step_whose_replica_dies_is_asked_again_at_another_one(two):
    pool = EnginePool(Handle(*two), 64, "a")
    async with pool.conversation():
        name, _ = (await pool.generate([7], GREEDY)).ids
        first, other = two if name == 1 else reversed(two)
        step = asyncio.create_task(pool.generate([0, 5], GREEDY))
        await until_asked(first, 2)
        other.engine.release.set()
        await first.die()
        assert (await step).ids == (other.engine.name, 0, 5)
    await pool.close()


async def test_where_every_replica_is_gone_the_model_is_not_available(two, monkeypatch):
    pool = EnginePool(Handle(two[0]), 64, "a")
    async with pool.conversation():
        await pool.generate([7], GREEDY)
        await two[0].die()
        monkeypatch.setattr(conversations, "_SEAT_S", 0.1)
        with pytest.raises(ModelUnavailable, match="no engine replica was there within"):
            await pool.generate([7, 1], GREEDY)
    await pool.close()


async def test_what_the_engine_refuses_is_refused_once_and_in_its_type(two):
    pool = EnginePool(Handle(two[0]), 64, "a")
    async with pool.conversation():
        with pytest.raises(TokenLimit, match="too long"):
            await pool.generate([9], GREEDY)
        assert len(two[0].engine.asked) == 1
        assert (await pool.generate([7], GREEDY)).ids == (1, 7)
    await pool.close()


async def test_a_question_that_nobody_waits_for_is_called_off_and_ends_its_conversation(two):
    pool = EnginePool(Handle(two[0]), 64, "a")

    async def question():
        async with pool.conversation():
            await pool.generate([0], GREEDY)

    asked = asyncio.create_task(question())
    await until_asked(two[0], 1)
    asked.cancel()
    await until_at_work(0, two[0])
    assert two[0].engine.called_off == 1
    await pool.close()


async def test_an_agent_that_dies_ends_its_conversations(two):
    pool = EnginePool(Handle(two[0]), 64, "a")
    async with pool.conversation():
        await pool.generate([7], GREEDY)
        await pool.close()  # as its connections do with its process
        await until_at_work(0, two[0])


async def test_where_there_is_no_replica_yet_a_question_waits_for_the_first(two):
    pool = EnginePool(handle := Handle(), 64, "a")
    async with pool.conversation():
        step = asyncio.create_task(pool.generate([7], GREEDY))
        await asyncio.wait([step], timeout=0.03)
        handle.replicas.append(two[0])
        assert (await step).ids == (1, 7)
    await pool.close()


async def test_a_replica_that_is_told_to_stop_ends_its_conversations_and_new_ones_go_elsewhere(two, monkeypatch):
    monkeypatch.setattr(replicas, "_LOOK_EVERY_S", 0.0)
    pool = EnginePool(handle := Handle(two[0]), 64, "a")
    async with pool.conversation():
        await pool.generate([7], GREEDY)
        handle.replicas.append(two[1])  # and the first is still among them: Serve's word comes late
        stopping = asyncio.create_task(two[0].leave())
        await asyncio.sleep(0)
        async with pool.conversation():
            assert {(await pool.generate([8, n], GREEDY)).ids[0] for n in range(3)} <= {1, 2}
            assert (await pool.generate([8, 3], GREEDY)).ids[0] == 2
        assert not stopping.done()
    await stopping
    await pool.close()


async def test_a_conversation_that_nobody_ends_is_over_after_the_longest_time(two):
    replica = Replica(1, 0.02)
    pool = EnginePool(Handle(replica), 64, "a")
    async with pool.conversation():
        await pool.generate([7], GREEDY)
        await until_at_work(0, replica)
        assert (await pool.generate([7, 1], GREEDY)).ids == (1, 7, 1)
    await pool.close()


async def until_asked(replica: Replica, n: int) -> None:
    for _ in range(2000):
        if len(replica.engine.asked) >= n:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(replica.engine.asked)
