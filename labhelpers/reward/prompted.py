"""A reward model that reads the response as its base model would write it, with the prompt beside it.

The base is the SFT model, as the reward-model lab's text and Ouyang et al. (2022) have it. What it knows of the task
sits in how likely it finds each token given the prompt: a summary with a wrong name holds a token that it did not
expect (BARTScore, Yuan et al. 2021, arXiv 2106.11520, uses that likelihood as a judge). So an encoder-decoder reads
the prompt in its encoder and the response in its decoder; a decoder-only model reads them as one sequence.

Per response token, a small head sees the state before the token, the state after it, the token's embedding and its
log-probability, and gives a score; the reward is the mean over the tokens plus a score of the last state.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from labhelpers.errors import ModelError
from labhelpers.policy.fast.passes import feed_forward_width
from labhelpers.policy.head import own_logits
from labhelpers.policy.logprobs import token_logprobs
from labhelpers.policy.padding import pad
from labhelpers.sources.devices import resolve_device, resolve_dtype
from labhelpers.sources.locations import model_folder

MODEL_TYPE = "prompted-reward"
_HEAD_WIDTH = 64


class PromptedRewardConfig(PreTrainedConfig):
    """The configuration of `PromptedReward`: that of its base model, as a dictionary, and one output."""

    model_type = MODEL_TYPE

    def __init__(self, base: dict[str, Any] | None = None, **options: Any):
        super().__init__(**({"num_labels": 1} | options))
        self.base = base or {}
        self.is_encoder_decoder = bool(self.base.get("is_encoder_decoder"))
        self.pad_token_id = self.base.get("pad_token_id")
        if self.base:
            inner = self.base_config()
            self.hidden_size, self.intermediate_size = inner.hidden_size, feed_forward_width(inner)  # for `passes`

    def base_config(self) -> PreTrainedConfig:
        """The base model's own configuration."""
        known = {name: value for name, value in self.base.items() if name != "model_type"}
        return AutoConfig.for_model(self.base["model_type"], **known)


class PromptedReward(PreTrainedModel):
    """A language model with a head per response token: `forward(input_ids, attention_mask)` -> logits `[B, 1]`.

    A row of `input_ids` is a prompt, the id `separator` (which no tokenizer gives) and a response; padding is on the
    right. Raises ModelError for a row without a prompt or without a separator.
    """

    config_class = PromptedRewardConfig
    base_model_prefix = "base"

    def __init__(self, config: PromptedRewardConfig, base: PreTrainedModel | None = None):
        super().__init__(config)
        if base is None:
            inner = config.base_config()
            base = (AutoModelForSeq2SeqLM if inner.is_encoder_decoder else AutoModelForCausalLM).from_config(inner)
        self.base = base
        width = self.base.get_input_embeddings().embedding_dim
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.inner = nn.Linear(3 * width + 2, _HEAD_WIDTH)
        self.token_score = nn.Linear(_HEAD_WIDTH, 1)
        self.end_score = nn.Linear(width, 1)
        self.separator = separator(self.base)
        self.post_init()

    @classmethod
    def on(cls, base: PreTrainedModel) -> PromptedReward:
        """A reward model with the weights, dtype and device of `base`, and an untrained head."""
        return cls(PromptedRewardConfig(base=base.config.to_dict()), base).to(base.device, base.dtype)

    def get_input_embeddings(self) -> nn.Module:
        return self.base.get_input_embeddings()

    def forward(
        self, input_ids: Int[Tensor, "B L"], attention_mask: Int[Tensor, "B L"], **_: Any
    ) -> SequenceClassifierOutput:
        prompts, responses = self._apart(input_ids, attention_mask)
        tokens, mask = pad(responses, 0, device=input_ids.device)
        states = self._states(prompts, responses)  # [B, T + 1, d]
        before, after = states[:, :-1], states[:, 1:]
        read = mask.bool()
        chosen = tokens[read]
        logits = own_logits(self.base, before[read])
        logits = logits if logits.dtype == torch.float64 else logits.float()
        likely = token_logprobs(logits, chosen)  # [N]
        best = token_logprobs(logits, logits.argmax(-1))
        seen = (before[read], after[read], self.get_input_embeddings()(chosen))
        features = [norm(part) for norm, part in zip(self.norms, seen, strict=True)] + [
            torch.stack([likely, best], -1).to(before)
        ]
        scores = self.token_score(nn.functional.gelu(self.inner(torch.cat(features, -1)))).squeeze(-1)  # [N]
        by_token = torch.zeros(mask.shape, dtype=scores.dtype, device=scores.device).masked_scatter(read, scores)
        lengths = mask.sum(-1)
        last = states[torch.arange(len(lengths), device=lengths.device), lengths]
        worst = -torch.where(read, -by_token, -torch.inf).logsumexp(-1)
        rewards = by_token.sum(-1) / lengths + worst + self.end_score(self.norms[1](last)).squeeze(-1)
        return SequenceClassifierOutput(logits=rewards[:, None])

    def _apart(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[list[list[int]], list[list[int]]]:
        prompts, responses = [], []
        for ids, length in zip(input_ids.tolist(), attention_mask.sum(-1).tolist(), strict=True):
            ids = ids[:length]
            if ids.count(self.separator) != 1 or ids[0] == self.separator or ids[-1] == self.separator:
                raise ModelError(
                    "this reward model reads a prompt and a response; one of them is missing. Encode them with "
                    "RewardModel.encode(prompts, responses)."
                )
            place = ids.index(self.separator)
            prompts.append(ids[:place])
            responses.append(ids[place + 1 :])
        return prompts, responses

    def _states(self, prompts: list[list[int]], responses: list[list[int]]) -> Float[Tensor, "B T+1 d"]:
        """The state before each response token, and the one after the last; meaningless behind a response's end."""
        device, decoder = self.end_score.weight.device, self.base.get_decoder()
        if self.config.is_encoder_decoder:
            unique = {tuple(prompt): place for place, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
            ids, mask = pad(list(unique), 0, device=device)
            encoded = self.base.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
            rows = torch.tensor([unique[tuple(prompt)] for prompt in prompts], device=device)
            start = self.base.config.decoder_start_token_id
            inputs, _ = pad([[start, *response] for response in responses], 0, device=device)
            return decoder(
                input_ids=inputs,
                encoder_hidden_states=encoded[rows],
                encoder_attention_mask=mask[rows],
                use_cache=False,
            ).last_hidden_state
        ids, mask = pad([p + r for p, r in zip(prompts, responses, strict=True)], 0, device=device)
        hidden = decoder(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        first = torch.tensor([len(prompt) - 1 for prompt in prompts], device=device)
        steps = torch.arange(max(map(len, responses)) + 1, device=device)
        places = (first[:, None] + steps).clamp(max=ids.shape[1] - 1)
        return hidden[torch.arange(len(prompts), device=device)[:, None], places]


def load_prompted(location: str, dtype: str | torch.dtype = "auto", device: str = "auto") -> PromptedReward:
    """A trained `PromptedReward` from a folder, a Hub id or an fsspec address, in eval mode; safetensors only.

    Raises ModelError when weights are missing, left over or of another shape.
    """
    folder, wanted = model_folder(location), resolve_dtype(dtype)
    try:
        model, info = PromptedReward.from_pretrained(
            folder, dtype=wanted, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(f"no reward model could be loaded from {str(location)!r}: {error}") from error
    wrong = sorted(str(name) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") for name in info[kind])
    if wrong:
        raise ModelError(
            f"the reward model in {str(location)!r} does not fit its configuration: {wrong[0]} and {len(wrong) - 1} "
            "more. Copy it again, or train one with notebook 03."
        )
    return model.to(resolve_device(device, model.dtype)).eval()


def separator(base: PreTrainedModel) -> int:
    """The id between prompt and response: the first one that the base model has no embedding for."""
    return base.get_input_embeddings().num_embeddings


AutoConfig.register(MODEL_TYPE, PromptedRewardConfig)
