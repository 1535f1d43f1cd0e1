import pytest

from fireact_ray.core.errors import TrainingError
from fireact_ray.training.config import TrainConfig

pytestmark = pytest.mark.torch


def test_a_configuration_survives_the_round_trip_through_plain_types():
    config = TrainConfig(base_model="org/model", lora_target_modules=("q_proj", "v_proj"), epochs=30)
    assert config.to_dict()["lora_target_modules"] == ["q_proj", "v_proj"]
    assert TrainConfig.from_dict(config.to_dict()) == config


def test_all_problems_are_named_at_once():
    with pytest.raises(TrainingError) as caught:
        TrainConfig(base_model="b", tuning="qlora", sharding="fsdp2", epochs=0, warmup_ratio=1.0)
    assert str(caught.value).splitlines() == [
        "tuning 'qlora' needs the gpu extra and is not built yet. Known: lora, full.",
        "sharding 'fsdp2' is not known here. Known: ddp.",
        "epochs is 0; it must be 1 or more.",
        "warmup_ratio is 1.0; it must be at least 0 and below 1.",
    ]


def test_a_value_of_another_type_is_refused_by_name():
    with pytest.raises(TrainingError, match="epochs is 'three'; it must be of type int"):
        TrainConfig(base_model="b", epochs="three")  # type: ignore[arg-type]


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(TrainingError, match=r"Unknown training settings \['batch_size'\]"):
        TrainConfig.from_dict({"base_model": "b", "batch_size": 4})
