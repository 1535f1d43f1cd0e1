import pytest
import torch

from fireact_ray.training.sharding.offload import RestingAdamW

pytestmark = pytest.mark.torch


def test_resting_moments_change_no_number():
    torch.manual_seed(0)
    start = [torch.randn(3, 4), torch.randn(5), torch.randn(2, 2)]

    def trained(kind: type[torch.optim.AdamW]) -> tuple[list[torch.Tensor], dict]:
        weights = [torch.nn.Parameter(weight.clone()) for weight in start]
        optimizer = kind([{"params": weights[:1], "weight_decay": 0.1}, {"params": weights[1:]}], lr=0.1)
        for step in range(1, 4):
            for weight in weights[:2]:  # the last one never has a gradient
                weight.grad = step * weight.detach().sin()
            optimizer.step()
            state = optimizer.state_dict()  # is read and written as that of any optimizer
            optimizer.load_state_dict(state)
        return weights, state

    (ours, our_state), (theirs, their_state) = trained(RestingAdamW), trained(torch.optim.AdamW)
    assert all(a.equal(b) for a, b in zip(ours, theirs, strict=True))
    assert our_state["param_groups"] == their_state["param_groups"]
    assert {key: state["exp_avg"].tolist() for key, state in our_state["state"].items() if state} == {
        key: state["exp_avg"].tolist() for key, state in their_state["state"].items()
    }
