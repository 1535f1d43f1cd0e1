import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM

from fireact_ray.training.batching import collate
from fireact_ray.training.config import TrainConfig
from fireact_ray.training.data import Row
from fireact_ray.training.loss import TrainedTokenLoss
from fireact_ray.training.model import load_base, prepare

pytestmark = pytest.mark.torch

IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 0, 0]])
MASK = torch.tensor([[0, 0, 1, 1, 0, 1], [1, 1, 0, 1, 0, 0]])  # the first token of row 1 cannot be predicted
TWO_ROWS = [
    [Row(f"t{i}", IDS[i, :n].numpy().astype(np.int32), MASK[i, :n].numpy().astype(np.int8))]
    for i, n in enumerate((6, 4))
]


def plain_loss(model) -> tuple[float, int]:
    """Position by position, from all logits, with an attention mask for the padding."""
    logits = model(input_ids=IDS, attention_mask=(IDS != 0).long()).logits
    losses = [
        F.cross_entropy(logits[row, t - 1], IDS[row, t]) for row in range(2) for t in range(1, 6) if MASK[row, t] == 1
    ]
    return sum(losses).item(), len(losses)


@pytest.mark.parametrize("attention", ["sdpa", "varlen"])
@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_the_loss_is_that_of_all_logits_at_the_trained_positions(base_dir, tuning: str, attention: str):
    config = TrainConfig(base_model=str(base_dir), tuning=tuning, lora_dropout=0.0, attention=attention)
    model = prepare(load_base(base_dir), config).model
    batch = collate(TWO_ROWS, varlen=attention == "varlen")
    total, n = TrainedTokenLoss(model)(*batch)
    expected, n_expected = plain_loss(load_base(base_dir))  # a new adapter adds nothing
    assert (n, n_expected) == (5, 5)
    assert total.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("packs", [TWO_ROWS, [[TWO_ROWS[0][0], TWO_ROWS[1][0]]]], ids=["two lines", "one line"])
def test_the_head_sees_trained_rows_only(base_dir, packs):
    model = AutoModelForCausalLM.from_pretrained(base_dir)
    seen = []
    model.lm_head.register_forward_pre_hook(lambda module, args: seen.append(args[0].flatten(0, -2).shape))
    TrainedTokenLoss(model)(*collate(packs))
    assert seen == [(5, 24)]


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_masked_tokens_have_no_gradient(base_dir, tuning: str):
    """Neither as targets: where no trained token comes next, what the head is given has a gradient of zero. Nor do
    other ids that are masked and come after all trained ones change any gradient."""
    config = TrainConfig(base_model=str(base_dir), tuning=tuning, lora_dropout=0.0, attention="sdpa")
    model = prepare(load_base(base_dir), config).model
    given = []
    model.get_decoder().norm.register_forward_hook(lambda module, args, out: given.append(out) or out.retain_grad())
    TrainedTokenLoss(model)(*collate(TWO_ROWS))[0].backward()
    predicts = F.pad(MASK[:, 1:], (0, 1))  # each position predicts the next token
    has_gradient = given[0].grad.abs().sum(-1) > 0
    assert has_gradient.long().tolist() == predicts.tolist() == [[0, 1, 1, 0, 1, 0], [1, 0, 1, 0, 0, 0]]
    before = {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}
    model.zero_grad()
    batch = collate(TWO_ROWS)
    batch.input_ids[1, 4:] = 31
    TrainedTokenLoss(model)(*batch)[0].backward()
    for name, gradient in before.items():
        assert torch.equal(dict(model.named_parameters())[name].grad, gradient), name


def test_padding_changes_neither_loss_nor_gradients(base_dir):
    model = load_base(base_dir)
    batch = collate(TWO_ROWS)
    wider = batch._replace(
        input_ids=F.pad(batch.input_ids, (0, 9)),
        position_ids=torch.arange(15).expand(2, 15),
        predicts=F.pad(batch.predicts, (0, 9)),
    )
    TrainedTokenLoss(model)(*batch)[0].backward()
    before = model.model.embed_tokens.weight.grad.clone()
    model.zero_grad()
    TrainedTokenLoss(model)(*wider)[0].backward()
    torch.testing.assert_close(model.model.embed_tokens.weight.grad, before)


def examples() -> list[Row]:
    """Of 2 to 17 tokens; also first tokens are marked, which only an example before them could predict."""
    draw = np.random.default_rng(5)
    lengths = (9, 2, 17, 5, 11, 3)
    return [
        Row(f"t{n}", draw.integers(1, 32, n).astype(np.int32), np.array([1, *draw.integers(0, 2, n - 1)], np.int8))
        for n in lengths
    ]


def loss_and_gradients(model, batches) -> tuple[torch.Tensor, int, dict[str, torch.Tensor]]:
    model.zero_grad()
    sums = [TrainedTokenLoss(model)(*collate(packs)) for packs in batches]
    total = torch.stack([loss for loss, _ in sums]).sum()
    total.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}
    return total.detach(), sum(n for _, n in sums), gradients


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_packed_examples_have_the_loss_and_the_gradients_that_they_have_alone(base_dir, tuning: str, attention: str):
    base = AutoModelForCausalLM.from_pretrained(base_dir, attn_implementation=attention)
    config = TrainConfig(base_model=str(base_dir), tuning=tuning, lora_dropout=0.0, attention="sdpa")
    model = prepare(base, config).model
    if tuning == "lora":  # the second factor of an adapter starts at zero, and so would the first one's gradients
        torch.manual_seed(3)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter.data, std=0.1)
    a, b, c, d, e, f = examples()
    loss, n, gradients = loss_and_gradients(model, [[[row]] for row in (a, b, c, d, e, f)])
    packed_loss, packed_n, packed_gradients = loss_and_gradients(model, [[[a, b, e], [c, d]], [[f]]])
    assert packed_n == n == 15
    assert abs(float(packed_loss - loss)) <= 1e-5 * n
    assert max(float(g.abs().max()) for g in gradients.values()) > 0.1
    for name, gradient in gradients.items():
        assert float((packed_gradients[name] - gradient).abs().max()) <= 1e-5, name


def test_no_example_sees_another_of_its_pack(base_dir):
    """What stands before an example changes nothing of its logits."""
    model = load_base(base_dir)
    a, b, c, *_ = examples()
    alone = model(input_ids=collate([[c]]).input_ids).logits[0]
    for before in (a, b):
        batch = collate([[before, c]])
        logits = model(input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False).logits[0]
        torch.testing.assert_close(logits[len(before.input_ids) :], alone, atol=1e-5, rtol=0)
    whole = torch.arange(batch.input_ids.shape[1])[None]
    leaky = model(input_ids=batch.input_ids, position_ids=whole, use_cache=False).logits[0]
    assert (leaky[len(b.input_ids) :] - alone).abs().max().item() > 0.01  # so the comparison can fail


@pytest.mark.parametrize("packs", [TWO_ROWS, TWO_ROWS[:1]], ids=["two lines", "one line"])
def test_without_a_trained_token_loss_and_gradients_are_zero(base_dir, packs):
    model = load_base(base_dir)
    total, n = TrainedTokenLoss(model)(*collate(packs, idle=True))
    total.backward()
    assert (total.item(), n) == (0.0, 0)
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


def test_an_adapter_on_a_bf16_base_reads_bf16_and_computes_what_peft_would_from_a_wider_copy(base_dir):
    runs = []
    for widened in (False, True):
        torch.manual_seed(3)
        lora = TrainConfig(base_model=str(base_dir), tuning="lora", lora_dropout=0.0)
        model = prepare(load_base(base_dir, torch.bfloat16), lora).model
        seen: set[torch.dtype] = set()
        for name, module in model.named_modules():
            if name.endswith("lora_A.default"):
                module.register_forward_pre_hook(lambda module, args, seen=seen: seen.add(args[0].dtype))
            if name.endswith("_proj"):
                module.cast_input_dtype_enabled = module.cast_input_dtype_enabled or widened
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter.data, std=0.1)
        with torch.autocast("cpu", torch.bfloat16):
            loss, _ = TrainedTokenLoss(model)(*collate(TWO_ROWS, varlen=True))
        loss.backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
        runs.append((seen, loss.detach(), gradients))
    (narrow, loss, gradients), (wide, expected, expected_gradients) = runs
    assert (narrow, wide) == ({torch.bfloat16}, {torch.float32})
    assert torch.equal(loss, expected)
    assert {g.dtype for g in gradients.values()} == {torch.float32}
    for name, gradient in gradients.items():
        assert torch.equal(gradient, expected_gradients[name]), name
