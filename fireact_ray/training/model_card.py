"""What a trained model's folder knows of itself in, its card out: README.md with the YAML head of the Hugging Face Hub.

`fireact.json` is the source. The card is written again when there is more to say: an evaluation, a loss curve.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fireact_ray.core.paths import NANO
from fireact_ray.core.storage.artifacts import read_model_card
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.utils.markdown import UNKNOWN, markdown_table, shown
from fireact_ray.training.config import ADAPTED

README = "README.md"
LOSS_CURVE = "loss.png"
_HOW = {
    "full": "all weights trained",
    "lora": "a LoRA adapter",
    "qlora": "a LoRA adapter, trained on a base in four bits",
    "merged": "an adapter, merged into its base",
}


def write_readme(folder: str | Path, report: Mapping[str, Any] | None = None) -> None:
    """Write the card of a model folder. `report`: of its evaluation, as evaluations/<name>/report.json holds it.

    The curve that a run draws among its checkpoints is copied, so that the folder can be published as it is.
    """
    model = Folder(str(folder))
    _copy_curve(model)
    card, has_curve = read_model_card(model), model.exists(LOSS_CURVE)
    model.write(README, model_card(card, report, has_curve=has_curve))


def _copy_curve(model: Folder) -> None:
    for name in ("checkpoints", f"{model.name}.checkpoints"):  # in a run folder, beside a model of torchrun
        if (checkpoints := model.parent / name).exists(LOSS_CURVE):
            model.write(LOSS_CURVE, checkpoints.read(LOSS_CURVE))


def model_card(card: Mapping[str, Any], report: Mapping[str, Any] | None = None, *, has_curve: bool = False) -> str:
    """`card`: what fireact.json holds, by this version or an earlier one."""
    head = yaml.safe_dump(_head(card), sort_keys=False, allow_unicode=True)
    parts = {"": _opening(card), "Training": _training(card, has_curve=has_curve), "Evaluation": _evaluation(report)}
    body = "\n\n".join(f"## {title}\n\n{text}" if title else text for title, text in parts.items() if text)
    return f"---\n{head}---\n\n{body}\n"


def _head(card: Mapping[str, Any]) -> dict[str, Any]:
    """A base that is a folder has no name on the hub, which would refuse its path."""
    base = str(card["base_model"])
    named = {} if _is_folder(base) else {"base_model": base}
    relation = {} if not named else {"base_model_relation": "adapter" if _is_adapter(card) else "finetune"}
    return {
        **named,
        **relation,
        "library_name": "peft" if _is_adapter(card) else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["agent", "tool-use", "react", "fireact", *(["lora"] if _is_adapter(card) else [])],
    }


def _opening(card: Mapping[str, Any]) -> str:
    base, revision = str(card["base_model"]), card.get("base_revision")
    name = Path(base).name if _is_folder(base) else base
    at = f", revision `{revision}`" if revision else ""
    return "\n".join(
        [
            f"# {name}, fine-tuned on agent trajectories",
            "",
            f"Trained by fireact_ray: {_HOW.get(card['tuning'], card['tuning'])}.",
            "",
            f"- base model: `{name}`{at}, fingerprint `{card['base_fingerprint']}`",
            f"- renderer: {card['renderer']}, fingerprint `{card['renderer_fingerprint']}`; prompts must be made by it",
            f"- dataset: {card['n_examples']} examples, fingerprint `{card['dataset_fingerprint']}`",
        ]
    )


def _training(card: Mapping[str, Any], *, has_curve: bool) -> str:
    settings = {name: value for name, value in card["config"].items() if name != "base_model"}
    if card["tuning"] == "full":
        settings = {name: value for name, value in settings.items() if not name.startswith("lora_")}
    rows = [[f"`{name}`", f"`{value}`"] for name, value in sorted(settings.items())]
    loss = f"{card['steps']} steps"
    if "final_loss" in card:  # of a training that is over
        loss += f"; loss at the end {card['final_loss']:.4f} nats a trained token"
    curve = f"\n\n![loss by step]({LOSS_CURVE})" if has_curve else ""
    return f"{loss}.{curve}\n\n{markdown_table(['setting', 'value'], rows).rstrip()}"


def _evaluation(report: Mapping[str, Any] | None) -> str:
    if report is None:
        return "Not evaluated yet."
    cells = [[name, _measure(report[key])] for key, name in (("em", "EM % [95%]"), ("f1", "F1 % [95%]"))]
    cells += [["searches a question", shown(report["searches_per_question"], ".2f")]]
    table = markdown_table(["", "mean"], cells).rstrip()
    return f"{report['n_planned']} questions, {report['n_finished']} of them finished.\n\n{table}"


def _measure(measure: Mapping[str, float] | None) -> str:
    if measure is None:
        return UNKNOWN
    return f"{measure['percent']:.1f} [{measure['low']:.1f}, {measure['high']:.1f}]"


def _is_adapter(card: Mapping[str, Any]) -> bool:
    return card["tuning"] in ADAPTED


def _is_folder(base: str) -> bool:
    return base == NANO or base.startswith("/")
