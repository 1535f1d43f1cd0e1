import pytest

from fireact_ray.agent.methods import METHODS, make_method
from fireact_ray.agent.methods.direct import Answering
from fireact_ray.agent.methods.prompts import PromptBook, PromptExample, prompt_book
from fireact_ray.agent.methods.react import Acting
from fireact_ray.core.grammar import Parsed, neutralise
from fireact_ray.core.types import Action, Observation, ObservationStatus, Question, Step, Turn
from fireact_ray.tasks import TASKS

QUESTION = Question("jsonl", "q", "How deep is Lake Tarn?", ("410 m",))
BOOK = PromptBook(
    "Answer it.",
    (PromptExample("Where?", "Thought: I know.\nAction: finish[there]", "It is there.", "there"),),
)
SEARCHED = Step("I look.", Action("search", "Lake Tarn"), Observation("A lake."), "raw reply")
REFUSED = Step("Hm.", None, Observation("That was no valid action.", ObservationStatus.ERROR), "Thought: Hm.")


def test_io_asks_for_the_answer_alone():
    assert Answering("io", BOOK, thinks=False).turns(QUESTION, ()) == (
        Turn(
            "system",
            "Answer it.\n\nReply with exactly one line:\nAnswer: <the answer, as short as possible>\n\n"
            "Examples:\n\nQuestion: Where?\nAnswer: there",
        ),
        Turn("user", "How deep is Lake Tarn?"),
    )


def test_cot_asks_for_a_thought_before_the_answer():
    assert Answering("cot", BOOK, thinks=True).turns(QUESTION, ()) == (
        Turn(
            "system",
            "Answer it.\n\nThink first, then answer. Reply with exactly two lines:\n"
            "Thought: <your reasoning>\nAnswer: <the answer, as short as possible>\n\n"
            "Examples:\n\nQuestion: Where?\nThought: It is there.\nAnswer: there",
        ),
        Turn("user", "How deep is Lake Tarn?"),
    )


def test_react_shows_each_step_as_it_was_and_its_observation():
    system, *episode = Acting("react", BOOK).turns(QUESTION, (SEARCHED, REFUSED))
    assert system == Turn(
        "system",
        "Answer it.\n\nWork step by step. Each reply is exactly two lines, a thought and one action:\n"
        "Thought: <what you know, what is missing, what you do next>\n"
        "Action: search[<query>] or finish[<the answer, as short as possible>]\n"
        "After a search you are shown one line that begins with Observation: - never write that line "
        "yourself.\n\nExamples:\n\nQuestion: Where?\nThought: I know.\nAction: finish[there]",
    )
    assert episode == [
        Turn("user", "How deep is Lake Tarn?"),
        Turn("assistant", "Thought: I look.\nAction: search[Lake Tarn]"),
        Turn("user", "Observation: A lake."),
        Turn("assistant", "Thought: Hm."),
        Turn("user", "Observation: That was no valid action."),
    ]


def test_without_a_book_only_the_conversation_is_shown():
    assert Acting("react", None).turns(QUESTION, ()) == (Turn("user", "How deep is Lake Tarn?"),)


def test_reflexion_asks_to_reflect_after_every_so_many_steps():
    method = Acting("reflexion", None, reflect_every=2)
    last_turns = [method.turns(QUESTION, (SEARCHED,) * n)[-1].content for n in range(5)]
    reflect = (
        "Reflect: the question is still open after {} steps. In your next thought, say what went wrong so "
        "far and how you will search differently; then act accordingly."
    )
    assert last_turns == [
        "How deep is Lake Tarn?",
        "Observation: A lake.",
        f"Observation: A lake.\n{reflect.format(2)}",
        "Observation: A lake.",
        f"Observation: A lake.\n{reflect.format(4)}",
    ]


@pytest.mark.parametrize("thinks", [True, False])
def test_an_answer_becomes_a_finish(thinks):
    parsed = Answering("any", BOOK, thinks).parse("Thought: It is\ndeep.\nAnswer: 410 [m\nAnswer: 9")
    assert parsed == Parsed("It is deep." if thinks else "", Action("finish", "410 (m"))


@pytest.mark.parametrize("reply", ["It is 410 m.", "Answer:", "Answer: \n"])
def test_a_reply_without_an_answer_has_no_action(reply):
    assert Answering("io", BOOK, thinks=False).parse(reply) == Parsed("", None)


def test_the_prompt_hash_changes_with_what_is_shown():
    other = PromptBook("Answer it!", BOOK.examples)
    methods = [
        Answering("io", BOOK, thinks=False),
        Answering("cot", BOOK, thinks=True),
        Acting("react", BOOK),
        Acting("react", None),
        Acting("react", other),
        Acting("reflexion", BOOK, reflect_every=2),
        Acting("reflexion", BOOK, reflect_every=3),
    ]
    assert len({method.prompt_hash for method in methods}) == 7
    assert Acting("react", BOOK).prompt_hash == Acting("another", BOOK).prompt_hash


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_its_prompt_for_every_task(method, task):
    system, user = make_method(method, task).turns(Question(task, "q", "Which?", ()), ())
    assert (system.role, user) == ("system", Turn("user", "Which?"))
    assert system.content.startswith(prompt_book(task).instruction)
    assert system.content.count("\nQuestion: ") == len(prompt_book(task).examples)


@pytest.mark.parametrize("task", TASKS)
def test_worked_examples_are_written_in_the_grammar_and_end_with_their_answer(task):
    for shown in prompt_book(task).examples:
        *steps, last = shown.transcript.split("\n")
        assert last == f"Action: finish[{shown.answer}]"
        assert all(line.startswith(("Thought: ", "Action: search[", "Observation: ")) for line in steps)
        observations = [line.removeprefix("Observation: ") for line in steps if line.startswith("Observation: ")]
        assert [neutralise(observation, 600) for observation in observations] == observations
        assert len(observations) == shown.transcript.count("Action: search[")


@pytest.mark.parametrize("task", TASKS)
def test_worked_examples_would_be_marked_right(task):
    for shown in prompt_book(task).examples:
        answers = (shown.answer,)
        assert TASKS[task].score(Question(task, "q", shown.question, answers), shown.answer).exact_match == 1.0
