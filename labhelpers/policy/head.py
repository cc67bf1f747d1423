"""From hidden states to the vocabulary's logits, as the model itself does it.

For most families that is their output layer and nothing else, and it can be applied to a few hundred tokens at a time.
Others do more: Granite and Cohere scale, Gemma 2 caps, BART and Marian add a bias. Nobody keeps a list of them: when a
policy is made, `output_layer_is_all` compares numbers, and where they differ the model's own forward pass is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

_WIDE = 30.0  # standard deviation of the logits at which a cap must show: Gemma 2's begins to bend there


@dataclass
class _Given(ModelOutput):
    """Hidden states as an encoder or a decoder returns them; what some families return beside them is None."""

    last_hidden_state: Tensor | None = None

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def layer_input(base: PreTrainedModel, hidden: Float[Tensor, "*N d"]) -> Float[Tensor, "*N d"]:
    """What the output layer is applied to: T5 1.0 scales its hidden states before it, FLAN-T5 does not."""
    return hidden * base.config.d_model**-0.5 if getattr(base.config, "scale_decoder_outputs", False) else hidden


def own_logits(base: PreTrainedModel, hidden: Float[Tensor, "*N d"]) -> Float[Tensor, "*N V"]:
    """The logits that the model's own forward pass makes of given hidden states, with a gradient.

    The pass runs with a decoder that does nothing but return `hidden`: what is left is all that comes after it.
    """
    decoder, rows = base.get_decoder(), hidden.reshape(1, -1, hidden.shape[-1])
    tokens = torch.zeros(rows.shape[:2], dtype=torch.int64, device=hidden.device)
    inputs = {"input_ids": tokens}
    if base.config.is_encoder_decoder:
        inputs = {"encoder_outputs": _Given(last_hidden_state=rows), "decoder_input_ids": tokens}
    given = _Given(last_hidden_state=rows)
    decoder.forward = lambda *_, **__: given
    try:
        logits = base(**inputs, use_cache=False).logits
    finally:
        del decoder.forward  # the class's own is there again
    return logits.reshape(*hidden.shape[:-1], -1)


@torch.no_grad()
def output_layer_is_all(base: PreTrainedModel, hidden: Float[Tensor, "1 T d"]) -> bool:
    """Whether the output layer alone gives the model's own logits: at `hidden`, at 0, and at wide logits."""
    layer = base.get_output_embeddings()
    spread = layer(layer_input(base, hidden)).float().std().clamp(min=1e-6)
    for factor in (0.0, 1.0, _WIDE / float(spread)):
        own, alone = own_logits(base, factor * hidden), layer(layer_input(base, factor * hidden))
        rounding = 8 * torch.finfo(own.dtype).eps * float(own.abs().max())
        if not (own.shape == alone.shape and bool(((own - alone).abs() <= rounding).all())):
            return False
    return True
