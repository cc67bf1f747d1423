"""The models' operations as they are replaced: the same functions and gradients, in the model's own precision."""

import copy

import pytest
import torch
from torch.autograd import gradcheck
from transformers.activations import NewGELUActivation
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.t5.modeling_t5 import T5LayerNorm

from labhelpers.policy.fast.operations import fused_operations
from tests.support.models import tiny_model

TOLERANCES = [(torch.float32, 1e-6), (torch.bfloat16, 0.05)]


def norm(kind, dtype):
    torch.manual_seed(0)
    module = kind(12).to(dtype)
    module.weight.data = torch.randn(12).to(dtype)
    return module


@pytest.mark.parametrize("kind", [T5LayerNorm, LlamaRMSNorm])
@pytest.mark.parametrize("dtype, tolerance", TOLERANCES)
def test_norms_and_their_gradients_are_those_of_transformers(kind, dtype, tolerance):
    """In the precisions that transformers does not cast down; x and the weight both get a gradient."""
    stock = norm(kind, dtype)
    ours = fused_operations(copy.deepcopy(stock))
    x = (3 * torch.randn(2, 5, 12)).to(dtype)
    upstream = torch.randn(2, 5, 12).to(dtype)
    results = []
    for module in (stock, ours):
        leaf = x.clone().requires_grad_()
        y = module(leaf)
        y.backward(upstream)
        results.append((y.detach(), leaf.grad, module.weight.grad))
    for expected, found in zip(*results, strict=True):
        assert found.dtype == dtype
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", [T5LayerNorm, LlamaRMSNorm])
def test_norms_stay_in_float64_and_have_the_exact_gradient(kind):
    """Transformers would round to float32 inside: an error of 1e-8, seen here at 1e-13."""
    module = fused_operations(norm(kind, torch.float64))
    x = torch.randn(3, 12, dtype=torch.float64, requires_grad=True)
    exact = module.weight * x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(module(x), exact, rtol=0, atol=1e-13)
    with torch.no_grad():
        assert torch.equal(module(x), module(x.clone().requires_grad_()).detach())
    weight = module.weight.detach().clone().requires_grad_()

    def function(x, weight):
        return torch.func.functional_call(module, {"weight": weight}, (x,))

    assert gradcheck(function, (x, weight), atol=1e-8)


@pytest.mark.parametrize("family", ["flan-t5", "gpt2"])
def test_gelu_by_formula_becomes_one_operation_and_stays_the_same(family):
    model = fused_operations(tiny_model(family).double())
    assert not any(isinstance(module, NewGELUActivation) for module in model.modules())
    assert any(isinstance(module, torch.nn.GELU) for module in model.modules())
    x = torch.linspace(-6, 6, 101, dtype=torch.float64)
    torch.testing.assert_close(torch.nn.GELU(approximate="tanh")(x), NewGELUActivation()(x), rtol=0, atol=1e-14)


def test_backward_keeps_the_input_and_a_number_per_token():
    module = fused_operations(norm(T5LayerNorm, torch.float32))
    module.weight.requires_grad_(False)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        module(torch.randn(50, 12, requires_grad=True))
    assert sum(kept) == 50 * 12 + 50 + 12
