"""The teacher as a ReAct agent: what to think and do next, from what the observations state.

A fact that a search did not bring is searched for again in other words. When every obvious wording fails, the
obvious words themselves mislead (see tasks/almanac/traps.py): a teacher that is asked to look back sees that
and searches for another thing; one that is not seldom does, and goes on with near variants of the same query.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fireact_ray.core import grammar
from fireact_ray.core.types import Action
from fireact_ray.demo.teacher import wording
from fireact_ray.demo.teacher.conversation import Episode, Search
from fireact_ray.demo.teacher.reasoning import Missing, conclude, miscopied, progress
from fireact_ray.demo.teacher.understanding import Chain, Comparison, Same
from fireact_ray.tasks.almanac.reading import name_of, read_facts, sentences_of
from fireact_ray.tasks.almanac.relations import RELATIONS
from fireact_ray.tasks.almanac.traps import ALIASES, SHARED_TITLES

_PATIENCE = 6  # failed searches for one fact after which a teacher may guess
_SECOND_KEYWORD_SHARE = 0.2  # of first queries use a relation's less promising keyword


@dataclass(frozen=True, slots=True)
class Temper:
    """How the teacher is disposed in one episode."""

    slips: bool  # makes one mistake on the way
    insight: bool  # sees through a trap without being asked to look back
    guesses: bool  # rather than searching on


def act(
    episode: Episode, meaning: Chain | Comparison | Same, temper: Temper, of_episode: str, rng: random.Random
) -> str:
    """The next reply. `of_episode` seeds what stays the same from step to step, `rng` this one's words."""
    facts = episode.known()
    now = progress(meaning, lambda relation, subject: facts.get((relation, subject)), facts)
    missing = now.missing
    if missing is None:
        conclusion = conclude(rng, meaning, now, temper.slips)
        return _finish(conclusion.thought, conclusion.answer)
    if temper.slips and isinstance(meaning, Chain) and now.values and _stops_early(of_episode):
        return _finish(wording.done(rng, now.said[-1], now.values[-1]), now.values[-1])
    tries = [search for search in episode.searches if missing.subject in search.query]
    if not tries:
        thought = _next_thought(rng, meaning, now.said, missing)
        if episode.reflecting:
            thought = f"My last search was right. {thought}"
        return _search(thought, _obvious_query(missing, tries, of_episode))
    if len(tries) >= _PATIENCE and temper.guesses:
        guess = _span(tries[-1].observation, missing.subject)
        return _finish(f"I cannot find {_need(missing)}. My best guess is {guess}.", guess)
    sees_through = _has_reformulated(missing, tries) or (temper.insight and len(tries) >= 2)
    if (episode.reflecting or sees_through) and (way_out := _reformulate(missing, tries)) is not None:
        return _search(*way_out)
    thought = wording.retry(rng, _need(missing))
    if episode.reflecting:
        thought = f"My last words were wrong. {thought}"
    return _search(thought, _obvious_query(missing, tries, of_episode))


def _stops_early(of_episode: str) -> bool:
    return random.Random(f"{of_episode} stops early").random() < 0.5


def _next_thought(rng: random.Random, meaning: Chain | Comparison | Same, said: Sequence[str], missing: Missing) -> str:
    need = _need(missing)
    if isinstance(meaning, Chain):
        left = meaning.relations[missing.position :]
        return wording.following(rng, said[-1], left, need) if said else wording.first(rng, left, need)
    if said:
        return wording.second_of_two(rng, said[-1], need)
    larger = meaning.larger if isinstance(meaning, Comparison) else None
    return wording.first_of_two(rng, meaning.relation, meaning.pair, larger)


def _obvious_query(missing: Missing, tries: Sequence[Search], of_episode: str) -> str:
    """The first obvious wording that was not tried; from the start again when all were."""
    relation = RELATIONS[missing.relation]
    keywords = list(relation.keywords)
    if random.Random(f"{of_episode} {missing}").random() < _SECOND_KEYWORD_SHARE:
        keywords.reverse()
    queries = [f"{missing.subject} {keyword}" for keyword in keywords]
    queries += [
        f"{missing.subject} {relation.short}",
        relation.phrase.format(e=missing.subject),
        f"{missing.subject} {' '.join(keywords)}",
        relation.questions[0].format(e=missing.subject),
    ]
    queries = list(dict.fromkeys(queries))
    tried = {search.query for search in tries}
    return next((query for query in queries if query not in tried), queries[len(tries) % len(queries)])


def _has_reformulated(missing: Missing, tries: Sequence[Search]) -> bool:
    return any(search.query in _ways_out(missing) for search in tries)


def _reformulate(missing: Missing, tries: Sequence[Search]) -> tuple[str, str] | None:
    """(thought, query) of a new approach; None where obvious words deserve a try, or nothing is left."""
    tried = {search.query for search in tries}
    if len(tries) < 2 and not _misled(missing, tries[-1].observation):
        return None
    return next(((thought, query) for query, thought in _ways_out(missing).items() if query not in tried), None)


def _misled(missing: Missing, observation: str) -> bool:
    """The result mentions the subject but speaks of something else."""
    for title, _ in sentences_of(observation):
        if title and title != missing.subject and name_of(title) == missing.subject:
            trap = SHARED_TITLES.get(missing.relation)
            return trap is None or not title.endswith(f"({trap.label})")
    about = {subject for _, subject in read_facts(observation)}
    return missing.subject in observation and missing.subject not in about


def _ways_out(missing: Missing) -> dict[str, str]:
    """Other approaches: query -> thought."""
    found, name = {}, missing.subject
    if (trap := SHARED_TITLES.get(missing.relation)) is not None:
        found[trap.query.format(e=name)] = (
            f"My searches went wrong: they found another work called {name}, not the {trap.label}. "
            f"I name the {trap.label} and use new words."
        )
    for alias in ALIASES.values():
        if alias.subject == RELATIONS[missing.relation].subject:
            label = alias.name.replace("_", " ")
            found[alias.query.format(e=name)] = (
                f"My searches went wrong: they found only a festival that mentions {name}. "
                f"{name} may be a {label}, so I ask first whose {label} it is."
            )
    return found


def _need(missing: Missing) -> str:
    return wording.needed(missing.relation, missing.subject)


def _span(observation: str, subject: str) -> str:
    """Some name in the observation other than the subject."""
    names = re.findall(r"[A-Z][\w'-]+(?: [A-Z][\w'-]+)*|\d{4}", observation.replace(subject, " "))
    longest = max(names, key=len, default="")
    return longest or miscopied(random.Random(0), subject)


def _search(thought: str, query: str) -> str:
    return grammar.render(thought, Action("search", query))


def _finish(thought: str, answer: str) -> str:
    return grammar.render(thought, Action("finish", answer))
