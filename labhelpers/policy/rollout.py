"""Rollouts: the policy writes one response to every query, and everything that PPO needs about each token is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from labhelpers.errors import TrainingError
from labhelpers.policy.decoding import start
from labhelpers.policy.logprobs import token_logprobs
from labhelpers.policy.model import Policy
from labhelpers.policy.padding import pad
from labhelpers.policy.sampling import POLICY_ITSELF, Sampling, sample_tokens, uniforms
from labhelpers.sources.dialogues import prompt_ids


@dataclass(frozen=True)
class Rollout:
    """B queries of at most Q tokens and their responses of at most T tokens; the shapes stand beside the fields.

    `mask` is 1 on response tokens up to and including the token that ends the response (see `end_ids`). `logprobs` are
    those of the *policy itself* (temperature 1, all tokens), however the tokens were sampled: the PPO ratio and the KL
    need these. `behaviour_logprobs` are those of the distribution that the tokens were drawn from, if `Sampling` makes
    it differ from the policy, else None. `finished` says which responses ended by themselves; `texts` do not contain
    the token that ended them.
    """

    queries: Int[Tensor, "B Q"]
    query_mask: Int[Tensor, "B Q"]
    responses: Int[Tensor, "B T"]
    mask: Int[Tensor, "B T"]
    logprobs: Float[Tensor, "B T"]  # 0 outside the mask
    values: Float[Tensor, "B T"]  # 0 outside the mask
    finished: Bool[Tensor, " B"]
    texts: list[str]
    query_texts: list[str]
    behaviour_logprobs: Float[Tensor, "B T"] | None = None
    encoded: Float[Tensor, "B Q d"] | None = None  # the encoder's states of the queries, if they were kept

    # Which fields have a column per query token, and which one per response token.
    QUERY_FIELDS: ClassVar[tuple[str, ...]] = ("queries", "query_mask", "encoded")
    RESPONSE_FIELDS: ClassVar[tuple[str, ...]] = ("responses", "mask", "logprobs", "values", "behaviour_logprobs")

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def total_lengths(self) -> Int[Tensor, " B"]:
        """Tokens per row, query and response. Rows of similar length make batches with little padding."""
        return self.query_mask.sum(-1) + self.lengths

    @property
    def lengths(self) -> Int[Tensor, " B"]:
        """Tokens per response, end-of-sequence included."""
        return self.mask.sum(-1)

    def check(self) -> None:
        """Raises TrainingError for tensors with shapes that do not fit together, and for a query or a response that has
        no token. The message names the field or the row."""
        B, T = self.responses.shape
        expected = {"query_mask": tuple(self.queries.shape), "queries": (B, self.queries.shape[-1])}
        expected |= {name: (B, T) for name in self.RESPONSE_FIELDS}
        expected |= {name: (B,) for name in ("finished", "texts", "query_texts")}
        for name, shape in expected.items():
            value = getattr(self, name)
            found = shape if value is None else (len(value),) if isinstance(value, list) else tuple(value.shape)
            if found != shape:
                raise TrainingError(
                    f"the rollout's {name} has shape {found}; with responses {(B, T)} it must be {shape}."
                )
        if self.encoded is not None and self.encoded.shape[:2] != self.queries.shape:
            raise TrainingError(
                f"the rollout's encoded has shape {tuple(self.encoded.shape)}; with queries "
                f"{tuple(self.queries.shape)} it must be (B, Q, d) with the same B and Q."
            )
        for name, mask in (("query", self.query_mask), ("response", self.mask)):
            if empty := (mask.sum(-1) == 0).nonzero().flatten().tolist():
                raise TrainingError(f"{name} {empty[0]} of the rollout has no token at all: it cannot be rewarded.")

    def rows(self, index: Int[Tensor, " b"]) -> Self:
        """Some of the rows, with padding columns that they do not need cut off."""
        width = max(int(self.mask[index].sum(-1).max()), 1)
        used = self.query_mask[index].any(0).nonzero()
        columns = dict.fromkeys(self.QUERY_FIELDS, slice(int(used.min()), int(used.max()) + 1))
        columns |= dict.fromkeys(self.RESPONSE_FIELDS, slice(0, width))
        picked = {}
        for name in (f.name for f in fields(self)):
            value = getattr(self, name)
            if isinstance(value, list):
                value = [value[i] for i in index.tolist()]
            elif isinstance(value, Tensor):
                value = value[index][:, columns[name]] if name in columns else value[index]
            picked[name] = value
        return type(self)(**picked)


def pad_queries(
    queries: Sequence[str] | Sequence[Tensor] | Sequence[list[int]],
    tokenizer: PreTrainedTokenizerBase,
    side: str,
    device: torch.device,
) -> tuple[Int[Tensor, "B Q"], Int[Tensor, "B Q"]]:
    """Texts (see `prompt_ids`), tensors or lists of ids -> `(ids, mask)`, padded on `side` ("left" or "right").

    Raises TrainingError when there is no query, or when a query has no token.
    """
    if len(queries) == 0:
        raise TrainingError("there is no query to respond to.")
    rows = [prompt_ids(tokenizer, [q])[0] if isinstance(q, str) else torch.as_tensor(q).tolist() for q in queries]
    for i, row in enumerate(rows):
        if not row:
            raise TrainingError(f"query {i} has no token.")
    return pad(rows, tokenizer.pad_token_id, side, device)


def end_ids(policy: Policy, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The ids of the tokens that end a response.

    These are the one or several ids in the model's generation_config, as in transformers' `generate`, and the
    tokenizer's id, because texts that the model is trained on end with it.
    """
    said = getattr(policy.base.generation_config, "eos_token_id", None)
    said = [] if said is None else [said] if isinstance(said, int) else list(said)
    vocabulary = policy.base.get_output_embeddings().weight.shape[0]
    return sorted({i for i in (*said, tokenizer.eos_token_id) if i < vocabulary})  # other ids are never drawn


def max_query_tokens(policy: Policy, new_tokens: int) -> int | None:
    """The largest number of tokens in a query, if its response has `new_tokens` tokens.

    None when positions are relative, so that nothing limits it (T5); 0 or less when there is no room for the response.
    """
    positions = getattr(policy.base.config, "max_position_embeddings", None)
    if positions is None or (policy.is_encoder_decoder and new_tokens <= positions):
        return positions
    return positions - new_tokens


@torch.no_grad()
def generate(
    policy: Policy,
    tokenizer: PreTrainedTokenizerBase,
    queries: Sequence[str] | Sequence[Tensor],
    max_new_tokens: int | Sequence[int] = 64,
    *,
    sampling: Sampling = POLICY_ITSELF,
    seed: int = 0,
    step: int = 0,
    rows: Sequence[int] | None = None,
    use_value_head: bool = True,
) -> Rollout:
    """Writes responses to a batch of queries with a key-value cache: one new token for all rows at a time.

    `max_new_tokens` is one number or one per row. Token t of row i is drawn with the number `uniforms(seed, step,
    rows[i], t)` (`rows`: 0, 1, … unless given), whatever else is in the batch. Log-probabilities and values
    come from the same passes. A finished row is dropped from the batch, so that it costs no more time.

    A response goes on until one of `end_ids` or its limit. Raises TrainingError for unusable queries or limits.
    """
    policy.eval()  # with dropout, it would not be this policy that writes
    ids, query_mask = pad_queries(queries, tokenizer, policy.padding_side, policy.device)
    n = len(ids)
    limits = torch.as_tensor([max_new_tokens] * n if isinstance(max_new_tokens, int) else max_new_tokens)
    if limits.shape != (n,) or int(limits.min()) < 1:
        raise TrainingError(f"max_new_tokens must be one number >= 1 or {n} of them, got {max_new_tokens!r}.")
    width = int(limits.max())
    allowed = max_query_tokens(policy, width)
    if allowed is not None and ids.shape[1] > allowed:
        raise TrainingError(
            f"a query has {ids.shape[1]} tokens; with {width} new ones the model takes at most {allowed}."
        )
    ends, pad = torch.tensor(end_ids(policy, tokenizer), device=policy.device), tokenizer.pad_token_id
    row_ids = torch.arange(n) if rows is None else torch.as_tensor(rows)
    numbers = uniforms(seed, step, row_ids, torch.arange(width)).to(policy.device)
    limits = limits.to(policy.device)

    responses = torch.full((n, width), pad, dtype=torch.int64, device=policy.device)
    score_dtype = torch.float64 if policy.dtype == torch.float64 else torch.float32
    logprobs, behaviour, values = (torch.zeros(n, width, dtype=score_dtype, device=policy.device) for _ in range(3))
    mask = torch.zeros_like(responses)
    finished = torch.zeros(n, dtype=torch.bool, device=policy.device)

    active = torch.arange(n, device=policy.device)  # which rows the current batch holds
    encoded = policy.encode(ids, query_mask)
    hidden, state = start(policy, ids, query_mask, room=width, encoded=encoded)
    prompts = policy.prompt_states(encoded, query_mask, hidden)
    for t in range(width):
        logits = state.logits(hidden)
        sampled_from = sampling.filtered(logits, t, ends) if sampling.is_filtered else logits
        token = sample_tokens(sampled_from, numbers[active, t]) if sampling.do_sample else sampled_from.argmax(-1)
        responses[active, t] = token
        mask[active, t] = 1
        logprobs[active, t] = token_logprobs(logits, token)
        if sampling.is_filtered:
            behaviour[active, t] = token_logprobs(sampled_from, token)
        if use_value_head:
            seen = None if prompts is None else prompts[active]
            values[active, t] = policy.values(hidden, seen).to(score_dtype)
        ended = torch.isin(token, ends)
        finished[active] = ended
        goes_on = ~ended & (limits[active] > t + 1)
        if not bool(goes_on.any()):
            break
        if not bool(goes_on.all()):
            left = state.keep(goes_on)
            active, token = active[left], token[left]
        hidden = state.advance(token)

    used = int(mask.sum(-1).max())
    lengths = mask.sum(-1) - finished.long()  # cut off here: it may not be a special token of the tokenizer
    texts = tokenizer.batch_decode(
        [row[:n] for row, n in zip(responses, lengths.tolist(), strict=True)], skip_special_tokens=True
    )
    query_texts = [q if isinstance(q, str) else tokenizer.decode(q, skip_special_tokens=True) for q in queries]
    return Rollout(
        queries=ids,
        query_mask=query_mask,
        responses=responses[:, :used],
        mask=mask[:, :used],
        logprobs=logprobs[:, :used],
        values=values[:, :used],
        finished=finished,
        texts=[t.strip() for t in texts],
        query_texts=query_texts,
        behaviour_logprobs=behaviour[:, :used] if sampling.is_filtered else None,
        encoded=encoded,
    )


def generate_batches(
    policy: Policy,
    tokenizer: PreTrainedTokenizerBase,
    queries: Sequence[str],
    max_new_tokens: int,
    batch_size: int = 64,
    *,
    sampling: Sampling = POLICY_ITSELF,
    seed: int = 0,
    step: int = 0,
) -> Iterator[tuple[list[int], Rollout]]:
    """Responses to any number of queries, without values: (places in `queries`, their rollout), one batch at a time.

    Batches hold queries of similar length. A row keeps the number of its place, so that sorting and the batch size do
    not change what is drawn for it.
    """
    order = sorted(range(len(queries)), key=lambda i: len(queries[i]))
    for first in range(0, len(order), batch_size):
        places = order[first : first + batch_size]
        part = [queries[i] for i in places]
        rollout = generate(
            policy, tokenizer, part, max_new_tokens,
            sampling=sampling, seed=seed, step=step, rows=places, use_value_head=False,
        )  # fmt: skip
        yield places, rollout


def generate_texts(
    policy: Policy,
    tokenizer: PreTrainedTokenizerBase,
    queries: Sequence[str],
    max_new_tokens: int,
    batch_size: int = 64,
    *,
    sampling: Sampling = POLICY_ITSELF,
    seed: int = 0,
    step: int = 0,
) -> list[str]:
    """The responses' texts for any number of queries, in their order; see `generate_batches`."""
    texts = [""] * len(queries)
    for places, rollout in generate_batches(
        policy, tokenizer, queries, max_new_tokens, batch_size, sampling=sampling, seed=seed, step=step
    ):
        for i, text in zip(places, rollout.texts, strict=True):
            texts[i] = text
    return texts
