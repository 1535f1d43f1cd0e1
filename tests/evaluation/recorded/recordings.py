"""Rows as others write them, files of such rows, and what scoring makes of a file."""

import json

from fireact_ray.evaluation.recorded.scoring import score_paths


def output(answer: str, reward: object = None) -> str:
    end = "" if reward is None else f"\nObservation: Episode finished, reward = {reward}"
    return f"Thought: I have it.\nAction: finish[{answer}]{end}"


def alpaca(question: str, answer: str, reward: object = None, **about: object) -> dict:
    return {"instruction": question, "input": "", "output": output(answer, reward), **about}


def traj(question: str, answer: str, gt: str, em: bool, f1: float) -> dict:
    text = f"### Instruction:\n{question}\n\n### Response:\n{output(answer, em)}\n"
    return {"reward": em, "em": em, "f1": f1, "gt": gt, "pred": answer.lower(), "prompt": "", "traj": text}


def chat(question: str, answer: str, **about: object) -> dict:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": output(answer)}]
    return {"messages": turns, **about}


def file(tmp_path, content: object, name: str = "x.json") -> str:
    text = "\n".join(map(json.dumps, content)) if name.endswith("l") else json.dumps(content, indent=1)
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def scored(path: str, *against: str, planned: int | None = None):
    (found,) = score_paths([path], against, "dev", planned)
    return found


def em(found) -> float:
    return found.report.metrics.em.percent


TRAJS = {
    "6238": traj("Who made it?", "The Ada Moe", "ada moe", True, 1.0),
    "12": traj("What else?", "torpedo boats", "torpedoes and boats", False, 0.4),
    "77": traj("Which?", "Bo", "ada moe", False, 0.0),
}
