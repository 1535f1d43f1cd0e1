"""The scripted teacher's mind: it reads, it slips, it can be misled, and it never sees an answer."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from fireact_ray.agent.methods import make_method
from fireact_ray.agent.methods.prompts import prompt_book
from fireact_ray.agent.tools.index import build_index
from fireact_ray.core import grammar
from fireact_ray.core.types import Action, Observation, Question, Step
from fireact_ray.demo.teacher.brain import Brain, BrainConfig
from fireact_ray.demo.teacher.conversation import Message, read_conversation
from fireact_ray.demo.teacher.understanding import Chain, Comparison, Same, Sum, Unclear, understand
from fireact_ray.tasks.almanac import ALMANAC, corpus, corpus_fingerprint
from fireact_ray.tasks.almanac.relations import RELATIONS
from fireact_ray.tasks.almanac.world import SPLITS, world

pytestmark = pytest.mark.slow

Search = Callable[[str], str]
CAREFUL = Brain(BrainConfig(error_rate=0.0))


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Search:
    index = build_index(corpus(), tmp_path_factory.mktemp("index"), corpus_fingerprint())

    def best_passage(query: str) -> str:
        hits = index.search_now(query, 1)
        if not hits:
            return "No results found."
        return hits[0].text if hits[0].title in hits[0].text else f"{hits[0].title}: {hits[0].text}"

    return best_passage


def messages_of(method_name: str, text: str, steps: list[Step], reflect_every: int = 3) -> list[Message]:
    method = make_method(method_name, "almanac", reflect_every=reflect_every)
    turns = method.turns(Question("almanac", "q", text, ("never shown",)), steps)
    return [Message(turn.role, turn.content) for turn in turns]


def solve(
    brain: Brain, method_name: str, text: str, search: Search, max_steps: int = 8, sampling: str = ""
) -> list[Step]:
    method = make_method(method_name, "almanac")
    steps: list[Step] = []
    while len(steps) < max_steps:
        reply = brain.reply(messages_of(method_name, text, steps), sampling)
        parsed = method.parse(reply)
        assert parsed.action is not None
        if parsed.action.tool == "finish":
            return [*steps, Step(parsed.thought, parsed.action, None, reply)]
        observation = Observation(search(parsed.action.argument))
        steps.append(Step(parsed.thought, parsed.action, observation, reply))
    return steps


def answer_of(steps: list[Step]) -> str | None:
    action = steps[-1].action
    return action.argument if action and action.tool == "finish" else None


def n_right(brain: Brain, method: str, questions: list[Question], search: Search) -> int:
    answers = [(q, answer_of(solve(brain, method, q.text, search))) for q in questions]
    return round(sum(ALMANAC.score(question, answer).exact_match for question, answer in answers))


def dev(*kinds: str) -> list[Question]:
    return [question for question in ALMANAC.load(None, "dev") if question.kind in kinds]


@pytest.mark.parametrize("method", ["react", "reflexion"])
def test_a_careful_teacher_solves_every_question_that_does_not_mislead(method: str, search: Search) -> None:
    questions = dev("1hop", "2hop", "3hop", "comparison", "yesno", "sum")[:250]
    assert n_right(CAREFUL, method, questions, search) == 250


def test_reflexion_beats_react_on_misleading_questions(search: Search) -> None:
    traps = dev("trap")[:80]
    assert n_right(CAREFUL, "react", traps, search) <= 16
    assert n_right(CAREFUL, "reflexion", traps, search) >= 76


def test_it_errs_at_the_set_rate_and_each_attempt_is_another_draw(search: Search) -> None:
    questions = dev("1hop", "2hop", "comparison", "yesno", "sum")[:200]
    hasty = Brain(BrainConfig(error_rate=0.3))
    assert 125 <= n_right(hasty, "react", questions, search) <= 155
    attempts = {answer_of(solve(hasty, "react", questions[0].text, search, sampling=f"0 {i}")) for i in range(20)}
    assert len(attempts) > 1


def test_the_answer_follows_a_changed_observation(search: Search) -> None:
    def lying(query: str) -> str:
        return re.sub(r"(published|appeared) in \d{4}", r"\1 in 1234", search(query))

    dev_world = world("dev")
    book = next(b for b in dev_world.entities["book"] if search(f"{b} published in year").startswith(f"{b} was pub"))
    question = f"In which year was {book} published?"
    assert answer_of(solve(CAREFUL, "react", question, search)) == dev_world.facts["publication_year", book]
    assert answer_of(solve(CAREFUL, "react", question, lying)) == "1234"


def test_it_works_on_entities_that_no_world_holds() -> None:
    corpus = {
        "Blue Harbour directed by": "Blue Harbour: It is a drama film directed by Anna Feld.",
        "Anna Feld born in": "Anna Feld was born and raised in Easthaven.",
    }
    question = "What is the birthplace of the director of Blue Harbour?"
    steps = solve(CAREFUL, "react", question, lambda query: corpus.get(query, "No results found."))
    assert answer_of(steps) == "Easthaven"
    assert steps[0].action in (
        Action("search", "Blue Harbour directed by"),
        Action("search", "Blue Harbour director"),
    )


def test_the_same_request_always_gets_the_same_reply() -> None:
    messages = messages_of("react", dev("2hop")[0].text, [])
    assert len({Brain(BrainConfig(seed=3)).reply(messages, "0.0 1") for _ in range(5)}) == 1


def test_wording_varies_from_question_to_question() -> None:
    replies = {CAREFUL.reply(messages_of("react", q.text, [])).split(" the ")[0] for q in dev("2hop")[:40]}
    assert replies == {"Thought: The steps are", "Thought: I need", "Thought: This takes"}


def test_a_retry_is_another_query_and_its_thought_says_what_is_missing(search: Search) -> None:
    question = "Where was Ila Dun born?"
    steps = solve(CAREFUL, "react", question, lambda query: "Ila Dun graduated from Oru University.", 4)
    queries = [step.action.argument for step in steps if step.action]
    assert len(set(queries)) == 4
    assert all("the birthplace of Ila Dun" in step.thought.replace("The b", "the b") for step in steps)


@pytest.mark.parametrize(
    ("shown", "thoughts"),
    [
        ("No results found.", "Nothing was found|The search found nothing|There is no result"),
        ("Red Orrin was written by Mo Ki.", "is not about Ila Dun|something else|nothing to do with Ila Dun"),
        ("Ila Dun led a quiet life.", "This does not give|does not tell|is not in this result"),
        ("The search is unavailable right now.", "The search failed|did not work|went wrong"),
    ],
)
def test_a_thought_says_what_came_in_place_of_the_fact(shown: str, thoughts: str) -> None:
    for method in ("react", "reflexion"):
        steps = solve(CAREFUL, method, "Where was Ila Dun born?", lambda query: shown, 5)
        assert all(re.search(thoughts, step.thought) and "Ila Dun" in step.thought for step in steps[1:])
        assert len({step.action.argument for step in steps if step.action}) == 5


def test_a_work_or_festival_that_misleads_is_spoken_of_only_where_one_was_shown(search: Search) -> None:
    title = world("dev").shared_titles[0]
    for shown in ("No results found.", "Ila Dun led a quiet life.", f"{title} sold well."):
        steps = solve(CAREFUL, "reflexion", f"Who directed {title}?", lambda query, shown=shown: shown, 6)
        assert not any("another work" in step.thought or "festival" in step.thought for step in steps)


def test_a_way_out_that_found_nothing_is_gone_on_with_in_other_words(search: Search) -> None:
    alias, (_, person) = next((alias, found) for alias, found in world("dev").aliases.items() if found[0] == "pen_name")
    struck = f"{alias} pen name of"
    answers = {struck: "No results found."}
    steps = solve(CAREFUL, "reflexion", f"When was {alias} born?", lambda query: answers.get(query) or search(query))
    assert [step.action.argument for step in steps[3:5] if step.action] == [struck, f"whose pen name is {alias}"]
    assert answer_of(steps) == world("dev").facts["birth_year", person]


@pytest.mark.parametrize("shown", ["No results found.", "Ila Dun led a quiet life."])
def test_a_quarter_of_all_searches_gone_wrong_costs_it_few_answers(shown: str, search: Search) -> None:
    asked = iter(range(10**6))
    questions = dev("1hop", "2hop", "comparison", "yesno")[:100]
    assert n_right(CAREFUL, "react", questions, lambda query: search(query) if next(asked) % 4 else shown) >= 97


def test_asked_to_look_back_it_says_what_went_wrong_and_searches_for_something_else(search: Search) -> None:
    title = world("dev").shared_titles[0]
    steps = solve(CAREFUL, "reflexion", f"Who directed {title}?", search)
    assert steps[3].thought == (
        f"My searches went wrong: they found another work called {title}, not the film. "
        "I name the film and use new words."
    )
    assert steps[3].action == Action("search", f"{title} film brought to the screen by")
    assert answer_of(steps) == world("dev").facts["director", title]


def test_asked_to_look_back_without_need_it_goes_on() -> None:
    steps = [
        Step(
            "",
            Action("search", "Blue Harbour director"),
            Observation("The director of Blue Harbour is Anna Feld."),
        ),
    ]
    question = "In which year was the director of Blue Harbour born?"
    reply = CAREFUL.reply(messages_of("reflexion", question, steps, reflect_every=1))
    assert reply.startswith("Thought: My last search was right. The director of Blue Harbour is Anna Feld. ")
    assert re.search(r"\nAction: search\[Anna Feld (birth year|year of birth)\]$", reply)


def test_thoughts_never_speak_of_the_method_and_replies_keep_to_the_grammar(search: Search) -> None:
    forbidden = re.compile(r"reflect|react|\bCoT\b|observation|within \d+ steps|prompt|\bmethod", re.IGNORECASE)
    for question in dev("trap", "2hop", "comparison")[:100]:
        for step in solve(Brain(), "reflexion", question.text, search):
            assert not forbidden.search(step.thought)
            assert step.action is not None
            assert grammar.render(step.thought, step.action) == step.completion


@pytest.mark.parametrize(("memory", "least", "most"), [(0.0, 0, 5), (0.35, 85, 125), (1.0, 300, 300)])
def test_chain_of_thought_is_as_good_as_its_memory(memory: float, least: int, most: int, search: Search) -> None:
    brain = Brain(BrainConfig(error_rate=0.0, memory=memory))
    questions = ALMANAC.load(None, "train")[:1700]
    assert least <= n_right(brain, "cot", [q for q in questions if q.kind == "1hop"][:300], search) <= most


def test_an_offhand_answer_is_worse_than_a_reasoned_one_where_steps_lie_between(search: Search) -> None:
    brain = Brain(BrainConfig(error_rate=0.0, memory=1.0))
    assert n_right(brain, "io", dev("1hop")[:100], search) == 100
    assert 25 <= n_right(brain, "io", dev("3hop")[:100], search) <= 50
    assert n_right(brain, "cot", dev("3hop")[:100], search) == 100


def test_answers_without_a_tool_are_in_the_methods_formats() -> None:
    brain = Brain(BrainConfig(error_rate=0.0))
    assert brain.reply(messages_of("io", "What does 7+5 come to?", [])) == "Answer: 12"
    cot = "Thought: No search is needed. 3+4=7. 7+5=12. The answer is 12.\nAnswer: 12"
    assert brain.reply(messages_of("cot", "What does 3+4+5 come to?", [])) == cot


@pytest.mark.parametrize("name", RELATIONS)
def test_every_question_form_is_understood(name: str) -> None:
    for form in RELATIONS[name].questions:
        assert understand(form.format(e="Ila Dun")) == Chain((name,), "Ila Dun")


@pytest.mark.parametrize("split", SPLITS)
def test_every_question_of_the_almanac_is_understood(split: str) -> None:
    shapes = {"comparison": Comparison, "yesno": Same, "sum": Sum}
    for question in ALMANAC.load(None, split):
        assert isinstance(understand(question.text), shapes.get(question.kind, Chain))


def test_nested_phrases_become_a_chain() -> None:
    question = "On which lake does the city where the company of Ila Dun is based stand?"
    assert understand(question) == Unclear(question)
    question = "On which lake does the birthplace of the founder of Zem Works stand?"
    assert understand(question) == Chain(("founder", "birthplace", "lake"), "Zem Works")


def test_a_question_of_another_task_gets_searches_for_its_names_and_a_span_of_what_they_brought() -> None:
    question = "What nationality was the director of the 1972 film Solaris, Andrei Tarkovsky?"
    shown = "Andrei Tarkovsky was a Soviet film director."
    steps = solve(CAREFUL, "react", question, lambda query: shown)
    assert [step.action.argument for step in steps if step.action] == [
        "Andrei Tarkovsky",
        "Solaris",
        "Soviet",
    ]


def test_closed_and_multiple_choice_questions_of_other_tasks_get_an_answer_of_the_right_form() -> None:
    assert CAREFUL.reply(messages_of("io", "Are Opeth and Camel from the same country?", [])) in (
        "Answer: yes", "Answer: no",
    )  # fmt: skip
    choices = "What does GDP stand for?\nA. Gross domestic product\nB. Global debt\nC. Gross demand\nD. Duty"
    assert re.fullmatch("Answer: [A-D]", CAREFUL.reply(messages_of("io", choices, [])))


def test_only_the_newest_episode_of_a_conversation_counts() -> None:
    episode = read_conversation(
        [
            Message("user", "What does 3+4 come to?"),
            Message("assistant", "Thought: Easy.\nAction: finish[7]"),
            Message("user", "Who wrote Red Orrin?"),
            Message("assistant", "Thought: I search.\nAction: search[Red Orrin author]"),
            Message("user", "Observation: Red Orrin was written by Ila Dun."),
        ]
    )
    assert episode.question == "Who wrote Red Orrin?"
    assert [search.query for search in episode.searches] == ["Red Orrin author"]
    assert episode.known() == {("author", "Red Orrin"): "Ila Dun"}


def test_a_student_without_a_system_prompt_is_answered_in_the_acting_format() -> None:
    method = make_method("react", "almanac", few_shot=False)
    turns = method.turns(Question("almanac", "q", "What does 7+5 come to?", ()), [])
    reply = CAREFUL.reply([Message(turn.role, turn.content) for turn in turns])
    assert reply == "Thought: No search is needed. 7+5=12. The answer is 12.\nAction: finish[12]"


def test_the_prompt_book_uses_no_word_of_any_world() -> None:
    book = prompt_book("almanac")
    shown = " ".join(f"{example.question} {example.transcript}" for example in book.examples)
    for split in SPLITS:
        assert not world(split).words & set(re.findall(r"\w+", shown))
    assert len(book.examples) == 4
