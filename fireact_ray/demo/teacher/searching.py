"""The teacher as a ReAct agent: what to think and do next, from what the observations state.

A fact that a search did not bring is searched for again in other words, and the thought says what came instead:
words on the subject, on something else, or none. Where obvious words brought what only seems to be meant, they
mislead (see tasks/almanac/traps.py): a teacher that is asked to look back sees that and searches for another thing;
one that is not seldom does, and goes on with near variants of the same query.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fireact_ray.core import grammar
from fireact_ray.core.observations import recorded
from fireact_ray.core.types import Action, ObservationStatus
from fireact_ray.demo.teacher import wording
from fireact_ray.demo.teacher.conversation import Episode, Search
from fireact_ray.demo.teacher.reasoning import Missing, conclude, miscopied, progress
from fireact_ray.demo.teacher.understanding import Chain, Comparison, Same
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
    ways_out = [way for way in _ways_out(missing) if way.is_seen(tries)]
    has_reformulated = any(search.query in way.queries for way in ways_out for search in tries)
    if episode.reflecting or has_reformulated or (temper.insight and len(tries) >= 2):
        for way in ways_out:
            if (step := way.step(rng, tries, missing.subject)) is not None:
                return _search(*step)
    heard = _heard(tries[-1], missing.subject)
    thought = wording.retry(rng, heard, missing.subject, _need(missing))
    if episode.reflecting:
        thought = f"{'My last words were wrong.' if heard == 'near' else 'My last search did not help.'} {thought}"
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


def _heard(search: Search, subject: str) -> wording.Heard:
    status = recorded(search.observation).status
    if status is not ObservationStatus.OK:
        return "nothing" if status is ObservationStatus.EMPTY else "failure"
    return "near" if subject in search.observation else "beside"


@dataclass(frozen=True, slots=True)
class _WayOut:
    """Another approach, for a result that misleads. `sign`: what such a result looks like; `queries`: two wordings."""

    sign: re.Pattern[str]
    thought: str
    need: str
    queries: tuple[str, str]

    def is_seen(self, tries: Sequence[Search]) -> bool:
        return any(self.sign.search(search.observation) for search in tries)

    def step(self, rng: random.Random, tries: Sequence[Search], subject: str) -> tuple[str, str] | None:
        """(thought, query); None where it was followed in vain. That a search brought nothing to the point is no word
        against it: then it is gone on with."""
        own = [search for search in tries if search.query in self.queries]
        if not own:
            return self.thought, self.queries[0]
        if (heard := _heard(own[-1], subject)) == "near":
            return None
        return wording.retry(rng, heard, subject, self.need), self.queries[len(own) % 2]


def _ways_out(missing: Missing) -> list[_WayOut]:
    found, name = [], missing.subject
    if (trap := SHARED_TITLES.get(missing.relation)) is not None:
        found.append(
            _WayOut(
                re.compile(rf"\b{re.escape(name)} \((?!{trap.label}\))"),
                f"My searches went wrong: they found another work called {name}, not the {trap.label}. "
                f"I name the {trap.label} and use new words.",
                f"{_need(missing)}, the {trap.label}",
                (trap.query.format(e=name), RELATIONS[missing.relation].rare.format(s=name, o="whom").rstrip(".")),
            )
        )
    for alias in ALIASES.values():
        if alias.subject == RELATIONS[missing.relation].subject:
            label = alias.name.replace("_", " ")
            decoys = (re.escape(decoy.format(f="FESTIVAL", o=name)) for decoy in alias.decoys)
            found.append(
                _WayOut(
                    re.compile("|".join(decoys).replace("FESTIVAL", r"[^.]+")),
                    f"My searches went wrong: they found only a festival that mentions {name}. "
                    f"{name} may be a {label}, so I ask first whose {label} it is.",
                    f"whose {label} {name} is",
                    (alias.query.format(e=name), f"whose {label} is {name}"),
                )
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
