"""A recording in, its episodes out one by one, in bounded memory; rows that are no episode are counted by reason.

A row of one reply that asks no tool ends with an answer as well (`told.py`). A row that ends without one is an episode
that did not finish (`rejected`), and one of which a step cannot be read counts by its answer (`partial.py`); what
cannot be told apart at all is unread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from fireact_ray.core.calls import TOOLS, Names
from fireact_ray.core.paths import last_name
from fireact_ray.core.types import Question
from fireact_ray.data.formats.conversations import is_known, is_stored, no_known_row, read_conversation
from fireact_ray.data.formats.files import stream_rows
from fireact_ray.data.formats.importers import MODEL, recorded, stored
from fireact_ray.data.formats.transcript import NoTranscript
from fireact_ray.evaluation.episodes import Episode, episode_of, stored_episodes
from fireact_ray.evaluation.recorded.partial import partial_episode, unknown_end
from fireact_ray.evaluation.recorded.places import Recording
from fireact_ray.tasks.loading import question_id
from fireact_ray.tasks.naming import task_named, task_shown

UNSAID = "jsonl"  # a task whose answers are free texts: what rows that say no task are scored as


@dataclass(slots=True)
class Reader:
    """Reads one recording. `unread`: rows that are no episode, by reason; `answer_only`: those of which the answer is
    read and not each step, by reason; `unknown_ends`: those without an answer that end with a call of a tool that is
    none of ours, by its name; `repeated`: rows whose key came before."""

    recording: Recording
    names: Names = field(default_factory=lambda: TOOLS)
    unread: Counter[str] = field(default_factory=Counter)
    answer_only: Counter[str] = field(default_factory=Counter)
    unknown_ends: Counter[str] = field(default_factory=Counter)
    repeated: int = 0

    def episodes(self) -> Iterator[Episode]:
        """Each key once. Raises InputError for what cannot be read, DataError for a damaged part."""
        seen: set[int] = set()
        for episode in self._stored() if self.recording.parts else self._foreign():
            key = hash(episode.key)  # 8 bytes of a key, whatever its length
            if key in seen:
                self.repeated += 1
                continue
            seen.add(key)
            yield episode

    def _stored(self) -> Iterator[Episode]:
        for folder, name in self.recording.parts:
            for episode in stored_episodes(folder, name):
                yield episode if episode.model != MODEL else _imported(episode)

    def _foreign(self) -> Iterator[Episode]:
        of_file = task_named(last_name(self.recording.path))
        first: Any = None
        known = False
        for number, row in stream_rows(self.recording.path):
            first = row if first is None else first
            known = known or is_known(row)
            try:
                found = self._episode(number, row, of_file)
            except NoTranscript as error:
                self.unread[error.kind] += 1
                continue
            yield found
        if not known:
            raise no_known_row(self.recording.path, first)

    def _episode(self, number: int, row: Any, of_file: str | None) -> Episode:
        if is_stored(row):
            return episode_of(stored(row))
        conversation = read_conversation(row)
        golds = conversation.golds
        try:
            episode = episode_of(recorded(UNSAID, conversation, self.names))
        except NoTranscript as fault:
            episode = partial_episode(conversation, fault, self.names)
            self.answer_only[fault.kind] += episode.n_steps is None
            if episode.answer is None and (tool := unknown_end(conversation, self.names)):
                self.unknown_ends[tool] += 1
        text, kind = episode.question.text, episode.question.kind
        shown = episode.answer if episode.answer is not None else next(iter(golds), None)
        task = conversation.task or task_shown(text, shown) or of_file or UNSAID
        return episode._replace(
            key=f"{number}",  # a row is an episode, even where another says the same
            question=Question(task, question_id(UNSAID, text), text, golds, kind),
            method="",  # how it was made, nobody says: its steps may only look so
            f1_recorded=conversation.recorded is not None and conversation.tells_f1,
        )


def _imported(episode: Episode) -> Episode:
    """Of a rewarded row, the answer itself was taken for an accepted one, which says no more than the reward."""
    question = episode.question
    is_own = question.answers == (episode.answer,)
    known = replace(question, answers=()) if is_own else question
    return episode._replace(question=known, method="", f1_recorded=False)
