"""Computes the vocabulary's logits from hidden states exactly as the model does.

Most families only apply their output layer, which can be applied to a few hundred tokens at a time.
Others do more: Granite and Cohere scale, Gemma 2 caps, BART and Marian add a bias. There is no list of them: when a
policy is made, `output_layer_is_all` compares numbers, and where they differ the model's own forward pass is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from labhelpers.errors import ModelError

# The errors of a model that cannot be called in this way.
UNUSABLE = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_WIDE = 30.0  # standard deviation at which a cap on the logits shows: Gemma 2's begins to bend there


@dataclass
class _Given(ModelOutput):
    """The output of an encoder or a decoder with given hidden states. Outputs that only some families have are None."""

    last_hidden_state: Tensor | None = None

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def layer_input(base: PreTrainedModel, hidden: Float[Tensor, "*N d"]) -> Float[Tensor, "*N d"]:
    """What the output layer is applied to: T5 1.0 first scales its hidden states, FLAN-T5 does not."""
    return hidden * base.config.d_model**-0.5 if getattr(base.config, "scale_decoder_outputs", False) else hidden


def own_logits(base: PreTrainedModel, hidden: Float[Tensor, "*N d"]) -> Float[Tensor, "*N V"]:
    """The logits that the model's own forward pass makes of given hidden states, with a gradient.

    The pass runs with a decoder that only returns `hidden`, so that everything after the decoder remains.
    """
    decoder, rows = base.get_decoder(), hidden.reshape(1, -1, hidden.shape[-1])
    tokens = torch.zeros(rows.shape[:2], dtype=torch.int64, device=hidden.device)
    inputs = {"input_ids": tokens}
    if base.config.is_encoder_decoder:
        inputs = {"encoder_outputs": _Given(last_hidden_state=rows), "decoder_input_ids": tokens}
    given = _Given(last_hidden_state=rows)
    before = vars(decoder).get("forward")  # set by libraries that spread a model over devices
    decoder.forward = lambda *_, **__: given
    try:
        logits = base(**inputs, use_cache=False).logits
    finally:
        del decoder.forward  # the forward of the class is visible again
        if before is not None:
            decoder.forward = before
    return logits.reshape(*hidden.shape[:-1], -1)


@torch.no_grad()
def output_layer_is_all(base: PreTrainedModel) -> bool:
    """Whether the output layer alone gives the model's own logits.

    The two are compared on random hidden states, on 0 (which shows a bias) and on large ones (which show a cap). False
    for a model on the meta device, which has no numbers.

    Raises ModelError when the model's forward pass cannot start from its hidden states.
    """
    layer = base.get_output_embeddings()
    if layer.weight.device.type == "meta":
        return False
    hidden = torch.randn(1, 8, layer.weight.shape[1], generator=torch.Generator().manual_seed(0)).to(layer.weight)
    try:
        spread = layer(layer_input(base, hidden)).float().std().clamp(min=1e-6)
        for factor in (0.0, 1.0, _WIDE / float(spread)):
            own, alone = own_logits(base, factor * hidden), layer(layer_input(base, factor * hidden))
            rounding = 8 * torch.finfo(own.dtype).eps * float(own.abs().max())
            if not (own.shape == alone.shape and bool(((own - alone).abs() <= rounding).all())):
                return False
    except UNUSABLE as error:
        raise ModelError(
            f"{type(base).__name__} cannot be a policy here: its logits cannot be computed from its decoder's states "
            f"({error}). Choose another model as policy_model."
        ) from error
    return True
