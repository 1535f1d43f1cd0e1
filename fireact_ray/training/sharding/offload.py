"""AdamW whose two moments rest in host memory: they are half of what a full fine-tuning holds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

from fireact_ray.training.config import TrainConfig

log = logging.getLogger(__name__)

_MOMENTS = ("exp_avg", "exp_avg_sq")


def is_offloaded(config: TrainConfig, device: torch.device) -> bool:
    if config.offload_optimizer and device.type == "cpu":
        log.info("offload_optimizer changes nothing: this training is in host memory anyway")
    return config.offload_optimizer and device.type != "cpu"


class RestingAdamW(torch.optim.AdamW):
    """The numbers are those of AdamW: one parameter at a time, its moments come to its device and go back.

    FSDP2's own CPUOffloadPolicy would move the weights as well, at every pass, those of a frozen base included.
    """

    param_groups: list[dict[str, Any]]

    def step(self, closure: Callable[[], float] | None = None) -> None:
        groups = self.param_groups
        try:
            for group in groups:
                for weight in group["params"]:
                    self.param_groups = [{**group, "params": [weight]}]
                    self._update(weight)
        finally:
            self.param_groups = groups
        if torch.cuda.is_available():
            torch.cuda.current_stream().synchronize()  # whoever reads the moments now finds them

    def _update(self, weight: torch.Tensor) -> None:
        state: dict[str, Any] = self.state[weight]
        resting = {moment: state[moment] for moment in _MOMENTS if moment in state}
        for moment, host in resting.items():
            state[moment] = host.to(weight.device, non_blocking=True)
        super().step()
        for moment in _MOMENTS if state else ():  # empty where it has no gradient
            host = resting.get(moment)
            if host is None or host.device.type != "cpu":  # new, or read by `load_state_dict`
                host = torch.empty_like(state[moment], device="cpu", pin_memory=weight.device.type == "cuda")
            state[moment] = host.copy_(state[moment], non_blocking=True)
