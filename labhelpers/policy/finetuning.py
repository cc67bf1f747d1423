"""Supervised fine-tuning whose memory does not grow with the vocabulary."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import Seq2SeqTrainer

from labhelpers.policy.model import Policy


class SFTTrainer(Seq2SeqTrainer):
    """transformers' trainer for a `policy` of either family, with logits of the target tokens only, a few hundred at a
    time.

    The loss is the same, the mean cross-entropy over all target tokens of a batch (labels that are not -100), also when
    the batch goes through the model in parts (`gradient_accumulation_steps`). What differs is the memory: a model's own
    loss holds the logits of every token of every row, those of the prompt too, and with a vocabulary of 49,152 these
    take more of it than the model does.
    """

    def __init__(self, policy: Policy, **options: Any):
        super().__init__(model=policy.model, **options)
        self.policy = policy
        self.model_accepts_loss_kwargs = True  # so that it hands `compute_loss` the batch's number of targets

    def compute_loss(
        self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor | tuple[Tensor, dict]:
        hidden, labels = self._predicting(inputs)
        targets = labels != -100
        taken = self.policy.logprobs_of(hidden[targets], labels[targets])
        loss = -taken.sum() / (targets.sum() if num_items_in_batch is None else num_items_in_batch)
        return (loss, {}) if return_outputs else loss

    def _predicting(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The hidden states `[B, T, d]` that predict the labels `[B, T]`, and these."""
        queries, mask, labels = inputs["input_ids"], inputs["attention_mask"], inputs["labels"]
        if self.policy.is_encoder_decoder:
            tokens = labels.clamp(min=0)  # in a causal decoder, nothing that counts sees the padding
            return self.policy.hidden_states(queries, mask, tokens, mask), labels
        last = int((labels != -100).any(0).nonzero().max())  # what follows predicts nothing
        decoder = self.policy.base.get_decoder()
        read = decoder(input_ids=queries[:, :last], attention_mask=mask[:, :last], use_cache=False)
        return read.last_hidden_state, labels[:, 1 : last + 1]
