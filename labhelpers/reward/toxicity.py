"""Toxicity by a classifier and by a word list, and the reward made of it.

The *measurement* is a probability of `hate`, for reports; the *reward* is the raw `nothate` logit, for PPO: unlike the
probability it still tells texts apart that are all clean. Both find their class by its **name**. The original lab takes
the first entry of a list that its pipeline has sorted by score, and so pays a hateful text its hate logit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import datasets
import evaluate
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from labhelpers.errors import DataError, TrainingError
from labhelpers.policy.classifier import class_logits, label_index, load_classifier


class Toxicity(evaluate.Measurement):
    """The probability of the toxic class for every text, as `evaluate`'s public measurement `toxicity`, but offline.

    >>> Toxicity(model, tokenizer).compute(predictions=["A friendly text.", "You are an idiot."])  # doctest: +SKIP
    {'toxicity': [0.002, 0.99]}

    `aggregation="maximum"` returns `{"max_toxicity": …}`, `"ratio"` `{"toxicity_ratio": …}`, the share of texts with at
    least 0.5. Raises ModelError for a label that the classifier does not have.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        toxic_label: str = "hate",
        batch_size: int = 64,
    ):
        self.model, self.tokenizer, self.batch_size = model, tokenizer, batch_size
        self.toxic_index = label_index(model, toxic_label)
        # evaluate makes a folder even when it keeps everything in memory; a home folder may be read-only.
        with tempfile.TemporaryDirectory(prefix="labhelpers-evaluate-") as folder:
            super().__init__(keep_in_memory=True, cache_dir=folder)

    def _info(self) -> evaluate.MeasurementInfo:
        return evaluate.MeasurementInfo(
            description="Probability of the toxic class by a hate speech classifier.",
            citation="Vidgen et al. 2021, Learning from the Worst (the classifier of the full profile)",
            inputs_description="predictions: texts. aggregation: 'all', 'maximum' or 'ratio' (share of at least 0.5).",
            features=datasets.Features({"predictions": datasets.Value("string")}),
        )

    def score(self, texts: Sequence[str]) -> list[float]:
        """The probability of the toxic class for every text."""
        logits = class_logits(self.model, self.tokenizer, texts, self.batch_size)
        return torch.softmax(logits, dim=-1)[:, self.toxic_index].tolist()

    def _compute(self, predictions, aggregation: str = "all") -> dict[str, list[float] | float]:
        scores = self.score(predictions)
        if aggregation == "all":
            return {"toxicity": scores}
        if aggregation == "maximum":
            return {"max_toxicity": max(scores)}
        if aggregation == "ratio":
            return {"toxicity_ratio": sum(score >= 0.5 for score in scores) / len(scores)}
        raise DataError(f"aggregation={aggregation!r} is unknown; choose 'all', 'maximum' or 'ratio'.")


def load_toxicity(location, dtype: str | torch.dtype = "auto", device: str = "auto") -> Toxicity:
    """The measurement with the classifier at `location`; see `load_classifier` and `Toxicity`."""
    model, tokenizer = load_classifier(location, dtype, device)
    return Toxicity(model, tokenizer)


class ToxicityReward:
    """The reward of the labs: the classifier's raw logit of `label` ("nothate"), found by name.

    Scored on the response alone; `score_prompt` scores prompt + response as the lab does, where the prompt's own words
    dilute the difference (a too long text then loses its beginning, not the response).
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        label: str = "nothate",
        score_prompt: bool = False,
        batch_size: int = 64,
    ):
        self.model, self.tokenizer = model, tokenizer
        self.index = label_index(model, label)
        self.score_prompt, self.batch_size = score_prompt, batch_size

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Tensor:
        """Rewards `[B]` on the CPU. Raises DataError for unequal lengths, TrainingError for a NaN or infinite one."""
        if len(prompts) != len(responses):
            raise DataError(
                f"{len(prompts)} prompts, but {len(responses)} responses; one response per prompt is needed."
            )
        texts = [p + r for p, r in zip(prompts, responses, strict=True)] if self.score_prompt else responses
        keep = "end" if self.score_prompt else "start"
        rewards = class_logits(self.model, self.tokenizer, texts, self.batch_size, keep)[:, self.index]
        bad = torch.nonzero(~torch.isfinite(rewards)).flatten().tolist()
        if bad:
            raise TrainingError(
                f"the reward of response {bad[0]} is {rewards[bad[0]].item()} ({len(bad)} of {len(rewards)} are "
                f"not finite): {responses[bad[0]]!r:.80}. The classifier is at fault (weights, dtype), not the policy."
            )
        return rewards
