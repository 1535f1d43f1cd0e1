"""Finished trajectories and what their teacher saw -> the latencies of each question's calls.

The scripted teacher's latency is fixed per request, so whoever makes the same requests meets the same latencies. The
requests of a trajectory are worked out again from its steps; where the teacher has seen others, this stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.occupancy import Call
from benchmarks.schedules import Chain, Leg
from fireact_ray.agent.agent import Agent
from fireact_ray.core.types import Question, Step, Trajectory
from fireact_ray.demo.teacher.calls import SeenCall
from fireact_ray.demo.teacher.protocol import ChatRequest


def request_body(agent: Agent, question: Question, attempt: int, steps: Sequence[Step]) -> dict[str, Any]:
    """The request for the next step, as any OpenAI client would send it."""
    body: dict[str, Any] = {
        "model": agent.model.name,
        "messages": [{"role": turn.role, "content": turn.content} for turn in agent.method.turns(question, steps)],
        "temperature": agent.sampling.temperature,
        "max_tokens": agent.sampling.max_new_tokens,
        "stop": list(agent.method.stop),
    }
    return body if agent.sampling.seed is None else {**body, "seed": agent.sampling.seed + attempt}


def requests_of(agent: Agent, trajectory: Trajectory) -> list[str]:
    """The hash of each request, as the teacher names it."""
    question, attempt, steps = trajectory.question, trajectory.attempt, trajectory.steps
    return [ChatRequest(**request_body(agent, question, attempt, steps[:n_done])).hash for n_done in range(len(steps))]


def chains_of(
    trajectories: Sequence[Trajectory], requests: Sequence[Sequence[str]], seen: Sequence[SeenCall], search_s: float
) -> list[Chain]:
    """`requests`: of each trajectory. Raises ValueError where they are not the ones that the teacher has answered."""
    drawn_s = {call.request: call.drawn_s for call in seen if call.outcome == "200"}
    expected = {request for of_one in requests for request in of_one}
    if expected != drawn_s.keys():
        raise ValueError(
            f"The trajectories take {len(expected)} requests, the teacher answered {len(drawn_s)}, and "
            f"{len(expected & drawn_s.keys())} are the same: the latencies of this run cannot be worked out."
        )
    return [
        tuple(
            Leg(drawn_s[request], search_s if step.action and step.action.tool == "search" else 0.0)
            for request, step in zip(of_one, trajectory.steps, strict=True)
        )
        for trajectory, of_one in zip(trajectories, requests, strict=True)
    ]


def seen_as_calls(seen: Sequence[SeenCall], first_requests: set[str]) -> list[Call]:
    """What the teacher saw, for `occupancy`. Requests that were refused held a slot of their caller all the same."""
    opened: set[str] = set()
    calls = []
    for call in sorted(seen, key=lambda call: call.came_at_s):
        opens = call.request in first_requests and call.request not in opened
        opened.add(call.request)
        calls.append(Call(call.came_at_s, call.left_at_s, opens))
    return calls
