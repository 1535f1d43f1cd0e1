import pytest

from fireact_ray.core.errors import TrainingError
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.training.config import TrainConfig, TrainSettings

pytestmark = pytest.mark.torch


def test_a_configuration_survives_the_round_trip_through_plain_types():
    config = TrainConfig(base_model="org/model", lora_target_modules=("q_proj", "v_proj"), epochs=30)
    stored = config.to_dict()
    assert {name: stored[name] for name in stored if "lora" in name} == {
        "lora_rank": 8,
        "lora_alpha": 16.0,
        "lora_dropout": 0.05,
        "lora_target_modules": ["q_proj", "v_proj"],
    }
    assert TrainConfig.from_dict(config.to_dict()) == config


def test_all_problems_are_named_at_once():
    with pytest.raises(TrainingError) as caught:
        TrainConfig.from_dict(
            {"base_model": "b", "tuning": "quora", "sharding": "fsdp3", "epochs": 0, "warmup_ratio": 1.0}
        )
    assert str(caught.value).splitlines() == [
        "tuning: expected one of lora, qlora, full; found 'quora'. Did you mean 'qlora'?",
        "sharding: expected one of ddp, fsdp2, zero3; found 'fsdp3'. Did you mean 'fsdp2'?",
        "epochs: input should be greater than 0; found 0.",
        "warmup_ratio: input should be less than 1; found 1.0.",
    ]


def test_a_base_in_four_bits_is_not_sharded_by_zero3():
    with pytest.raises(TrainingError, match="sharding: the four-bit base of tuning qlora is not sharded by zero3; set"):
        TrainConfig.from_dict({"base_model": "b", "tuning": "qlora", "sharding": "zero3"})
    for sharding in ("ddp", "fsdp2"):
        assert TrainConfig.from_dict({"base_model": "b", "tuning": "qlora", "sharding": sharding}).adapts


def test_a_value_of_another_type_is_refused_by_name():
    with pytest.raises(TrainingError, match=r"epochs: input should be a valid integer.*; found 'three'"):
        TrainConfig.from_dict({"base_model": "b", "epochs": "three"})


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(
        TrainingError,
        match=r"batch_size: unknown key\. Did you mean 'global_batch_size'\? Known: activation_checkpointing, ",
    ):
        TrainConfig.from_dict({"base_model": "b", "batch_size": 4})


def test_a_recipe_and_torchrun_have_the_same_defaults():
    section, config = load_recipe("demo").train, TrainConfig(base_model="b")
    shared = TrainSettings.model_fields
    assert set(shared) == set(type(section).model_fields) & set(type(config).model_fields)
    assert {name: type(section).model_fields[name].default for name in shared} == {
        name: getattr(config, name) for name in shared
    }


def test_what_is_held_out_is_an_input_of_a_training_only_where_something_is():
    assert "held_out" not in TrainConfig(base_model="b").shaping()
    config = TrainConfig(base_model="b", held_out=0.1, evaluate_every_steps=5)
    assert config.shaping()["held_out"] == 0.1
    assert "evaluate_every_steps" not in config.shaping()


def test_lora_settings_may_be_flat_as_they_are_stored_or_nested_as_in_a_recipe():
    assert TrainConfig(base_model="b", lora_rank=4).lora.rank == 4
    assert TrainConfig(base_model="b", lora={"rank": 4}) == TrainConfig(base_model="b", lora_rank=4)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, r"^base_model: required, but missing\.$"),
        ({"base_model": "b", "pack_tokens": 9000}, r"^pack_tokens may be at most micro_batch_tokens \(8192\)\.$"),
        (
            {"base_model": "b", "evaluate_every_steps": 5},
            r"^evaluate_every_steps measures .*: set held_out, such as to 0.0",
        ),
        ({"base_model": "b", "kernels": "liger", "compile": True}, r"^compile fuses what kernels liger fuses: "),
        ({"base_model": "b", "kernels": "liger", "sharding": "zero3"}, r"^kernels liger is held against torch by "),
        ({"base_model": "b", "lora_rank": 4, "lora": {"rank": 8}}, r"^give `lora` or `lora_...`, not both\.$"),
    ],
)
def test_what_is_wrong_with_the_whole_is_said_without_showing_all_of_it(row, message):
    with pytest.raises(TrainingError, match=message):
        TrainConfig.from_dict(row)


def test_how_a_pass_is_computed_is_no_input_of_a_run():
    config = TrainConfig(base_model="b")
    faster = config.changed(attention="sdpa", activation_checkpointing=2, compile=True, micro_batch_tokens=64)
    assert faster.shaping() == config.changed(kernels="liger").shaping() == config.shaping()
