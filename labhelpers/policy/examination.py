"""Tests a new policy on a few tokens: does it compute the same numbers as its model?

No list says which families can be called part by part, with padding, and token by token. The numbers decide.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from labhelpers.errors import ModelError
from labhelpers.policy.decoding import start
from labhelpers.policy.head import UNUSABLE
from labhelpers.policy.model import Policy
from labhelpers.policy.padding import pad

_QUERY, _RESPONSE = 8, 4  # tokens


@torch.no_grad()
def examine(policy: Policy) -> None:
    """Compares the logits of one response with those of the model's own forward pass.

    The policy computes them in three ways: in one pass, after a padded query, and token by token. Raises ModelError
    when they differ, because then every number of the training would be wrong. The policy must be in eval mode.
    """
    name = f"{type(policy.base).__name__} in {policy.dtype}"
    try:
        own, *found = _logits(policy)
    except UNUSABLE as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"{name} cannot be a policy here: its decoder cannot be called on its own ({error}). Choose another model "
            "as policy_model."
        ) from error
    half = policy.dtype.itemsize == 2  # half precision: rounding may send a token to another expert
    shares = (0.05, 0.25, 0.25) if half else (1e-4, 1e-3, 1e-3)
    faults = ("called part by part", "after a padded query", "token by token")
    for logits, share, fault in zip(found, shares, faults, strict=True):
        if not bool((logits - own).abs().max() <= share * own.abs().max()):  # false for NaN too
            gives = "other logits than in its own forward pass" if bool(logits.isfinite().all()) else "NaN for logits"
            raise ModelError(
                f"{name} cannot be a policy here: {fault}, it gives {gives}. Choose another model as policy_model, or "
                "another dtype."
            )


def _logits(policy: Policy) -> list[Float[Tensor, "T V"]]:
    """The logits that predict a response, by the model and by the policy in three ways, on the CPU in float64."""
    base, vocabulary = policy.base, policy.base.get_output_embeddings().weight.shape[0]
    tokens = ((7 * torch.arange(_QUERY + _RESPONSE, device=policy.device) + 3) % vocabulary)[None]
    query, response = tokens[:, :_QUERY], tokens[:, _QUERY:]
    if policy.is_encoder_decoder:
        first = torch.full_like(response[:, :1], policy.start_token)
        inputs = {"input_ids": query, "decoder_input_ids": torch.cat([first, response[:, :-1]], 1)}
    else:
        inputs = {"input_ids": tokens[:, :-1]}
    own = base(**inputs, use_cache=False).logits[0, -_RESPONSE:]
    ones = torch.ones_like(response)
    one_pass = policy.logits(policy.hidden_states(query, torch.ones_like(query), response, ones))[0]
    longer = tokens[0, : _QUERY + 3].tolist()  # in one batch with this, the query is padded
    queries, query_mask = pad([query[0].tolist(), longer], 0, policy.padding_side, policy.device)
    padded = policy.logits(policy.hidden_states(queries[:1], query_mask[:1], response, ones))[0]
    hidden, state = start(policy, queries, query_mask, room=_RESPONSE)
    decoded = [state.logits(hidden)[:1]]
    hidden = state.advance(response[:, 0].expand(2))
    state.keep(torch.tensor([True, False], device=policy.device))
    decoded.append(state.logits(hidden[:1]))
    for t in range(1, _RESPONSE - 1):
        decoded.append(state.logits(state.advance(response[:, t])))
    return [logits.cpu().double() for logits in (own, one_pass, padded, torch.cat(decoded))]
