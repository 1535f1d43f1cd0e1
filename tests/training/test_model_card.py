"""README.md of a model folder, as the Hugging Face Hub reads it."""

import json
from pathlib import Path

import yaml

from fireact_ray.training.model_card import model_card, write_readme

CARD = {
    "base_model": "codellama/CodeLlama-7b-hf",
    "base_revision": "6c284d1468fe6c413cf56183e69b194dcfa27fe6",
    "base_fingerprint": "a1b2",
    "tuning": "qlora",
    "renderer": "plain",
    "renderer_fingerprint": "f00d",
    "dataset_fingerprint": "beef",
    "n_examples": 500,
    "config": {"base_model": "/home/me/base", "learning_rate": 3e-4, "lora_rank": 8, "tuning": "qlora"},
    "steps": 120,
    "final_loss": 0.31234,
}
REPORT = {
    "n_planned": 500,
    "n_finished": 480,
    "em": {"percent": 31.2, "low": 27.3, "high": 35.4},
    "f1": None,
    "searches_per_question": 2.125,
}


def head_of(text: str) -> dict:
    _, head, body = text.split("---\n", 2)
    assert body.startswith("\n# ")
    return yaml.safe_load(head)


def test_the_head_names_base_library_and_tags():
    assert head_of(model_card(CARD)) == {
        "base_model": "codellama/CodeLlama-7b-hf",
        "base_model_relation": "adapter",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["agent", "tool-use", "react", "fireact", "lora"],
    }
    merged = head_of(model_card({**CARD, "tuning": "merged"}))
    assert (merged["base_model_relation"], merged["library_name"]) == ("finetune", "transformers")


def test_a_base_that_is_a_folder_is_no_name_on_the_hub_and_its_path_is_not_published():
    text = model_card({**CARD, "base_model": "/home/me/llama-7b"})
    assert "base_model" not in head_of(text)
    assert "/home/me" not in text
    assert "# llama-7b, fine-tuned on agent trajectories" in text


def test_the_card_says_what_was_trained_from_what_and_how():
    text = model_card(CARD, REPORT)
    assert "revision `6c284d1468fe6c413cf56183e69b194dcfa27fe6`, fingerprint `a1b2`" in text
    assert "- dataset: 500 examples, fingerprint `beef`" in text
    assert "- renderer: plain, fingerprint `f00d`" in text
    assert "120 steps; loss at the end 0.3123 nats a trained token." in text
    assert "| `learning_rate` | `0.0003` |" in text
    assert "500 questions, 480 of them finished." in text
    assert "| EM % [95%]          | 31.2 [27.3, 35.4] |" in text
    assert "| F1 % [95%]          |                 - |" in text


def test_a_card_of_an_earlier_version_has_no_revision_and_full_tuning_no_lora():
    text = model_card({k: v for k, v in CARD.items() if k != "base_revision"} | {"tuning": "full"})
    assert "revision" not in text
    assert "lora_rank" not in text
    assert "Not evaluated yet." in text


def test_the_curve_of_a_run_is_copied_into_its_model_and_linked(tmp_path: Path):
    model, checkpoints = tmp_path / "model", tmp_path / "checkpoints"
    model.mkdir()
    (model / "fireact.json").write_text(json.dumps(CARD))
    write_readme(model)
    assert "loss.png" not in (model / "README.md").read_text()
    checkpoints.mkdir()
    (checkpoints / "loss.png").write_bytes(b"a picture")
    write_readme(model, REPORT)
    assert "![loss by step](loss.png)" in (model / "README.md").read_text()
    assert (model / "loss.png").read_bytes() == b"a picture"
