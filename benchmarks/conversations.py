"""How well a served agent follows a conversation: the same facts asked as a follow-up, alone, and in full.

    fireact serve demo &
    python -m benchmarks.conversations --url http://127.0.0.1:8000 --model fireact/demo --n 100

A dialogue has two turns over the almanac's test world: "In which city was Ila Dun born?", "Zem", and then "In which
country is that city?" (what was answered) or "In which year was that person born?" (who was asked about). Its second
question is asked three ways, and its answer is the same each time:

    follow-up   with the first turn and its right answer as history, as `serve.history` gives it to the agent
    alone       without them: what can be guessed
    in full     "In which country is Zem?": what a perfect rewriting of the follow-up would ask
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from benchmarks.header import print_header, print_table
from fireact_ray.core.utils.statistics import wilson_interval
from fireact_ray.tasks.almanac.questions import chains
from fireact_ray.tasks.almanac.relations import RELATIONS
from fireact_ray.tasks.almanac.world import World, world
from fireact_ray.tasks.scoring import best_score

WAYS = ("follow-up", "alone", "in full")
_AT_ONCE = 8

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """`follow_up` is about the first answer, or about what the first question was about: `is_about_answer`."""

    first: str
    first_answer: str
    follow_up: str
    in_full: str
    answer: str
    is_about_answer: bool

    def messages(self, way: str) -> Messages:
        last = self.in_full if way == "in full" else self.follow_up
        before = [("user", self.first), ("assistant", self.first_answer)] if way == "follow-up" else []
        return [{"role": role, "content": text} for role, text in (*before, ("user", last))]


def dialogues(of: World, n: int, seed: int) -> list[Dialogue]:
    """`n` of them, of as many pairs of relations as there are, in turn about the answer and about the subject."""
    rng = random.Random(seed)
    on = chains(2)
    beside = [(a, b) for a in RELATIONS for b in RELATIONS if a != b and RELATIONS[a].subject == RELATIONS[b].subject]
    pools = [[list(_dialogues(of, a, b, is_on)) for a, b in pairs] for pairs, is_on in ((on, True), (beside, False))]
    return [rng.choice(rng.choice([pool for pool in pools[turn % 2] if pool])) for turn in range(n)]


def _dialogues(of: World, first: str, second: str, is_about_answer: bool) -> Iterator[Dialogue]:
    one, two = RELATIONS[first], RELATIONS[second]
    for subject in of.entities[one.subject]:
        said = of.facts.get((first, subject))
        if said is None or subject in of.shared_titles:
            continue
        about = said if is_about_answer else subject
        if (answer := of.facts.get((second, about))) is not None:
            asked = two.questions[0]
            that = asked.format(e=f"that {two.subject}")
            in_full = asked.format(e=about)
            yield Dialogue(one.questions[0].format(e=subject), said, that, in_full, answer, is_about_answer)


@dataclass(frozen=True, slots=True)
class Reply:
    about: str
    is_right: bool
    stop_reason: str
    is_cut: bool  # the agent was not told all of the history


async def asked(http: httpx.AsyncClient, model: str, dialogue: Dialogue, way: str) -> Reply:
    """Raises httpx.HTTPError for what is no answer and no limit."""
    reply = await http.post("/v1/chat/completions", json={"model": model, "messages": dialogue.messages(way)})
    reply.raise_for_status()
    body = reply.json()
    score = best_score(body["choices"][0]["message"]["content"] or None, (dialogue.answer,))
    told = body["fireact"]
    about = "the answer" if dialogue.is_about_answer else "the subject"
    return Reply(about, score.exact_match == 1.0, told["stop_reason"], "messages" in told["ignored"])


async def measured(url: str, model: str, n: int, seed: int) -> dict[str, list[Reply]]:
    places = asyncio.Semaphore(_AT_ONCE)
    several = dialogues(world("test"), n, seed)
    async with httpx.AsyncClient(base_url=url, timeout=300) as http:

        async def one(dialogue: Dialogue, way: str) -> Reply:
            async with places:
                return await asked(http, model, dialogue, way)

        return {way: await asyncio.gather(*(one(dialogue, way) for dialogue in several)) for way in WAYS}


def rows(replies: dict[str, list[Reply]]) -> Iterator[tuple[object, ...]]:
    for way, everything in replies.items():
        for about in ("the answer", "the subject"):
            several = [reply for reply in everything if reply.about == about]
            n_right = sum(reply.is_right for reply in several)
            low, high = wilson_interval(n_right, len(several))
            ends = Counter(reply.stop_reason for reply in several).most_common()
            yield (
                *(way, about, n_right, len(several), f"{100 * low:.0f}-{100 * high:.0f}"),
                *(sum(reply.is_cut for reply in several), ", ".join(f"{reason} {n}" for reason, n in ends)),
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--model", default="fireact/demo")
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print_header()
    replies = asyncio.run(measured(args.url, args.model, args.n, args.seed))
    columns = ("asked", "about", "right", "of", "95 % interval (%)", "not all told", "ended as")
    print_table(columns, rows(replies))


if __name__ == "__main__":
    main()
