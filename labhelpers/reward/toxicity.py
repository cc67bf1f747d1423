"""Toxicity by a classifier and by a word list, and the reward made of it.

The *measurement* is a probability of being toxic, for reports. The *reward* is the raw logit of the harmless class, for
PPO: unlike the probability, it still differs between texts that are all clean. Both find the harmless label by its
**name** (`nothate` in the course's classifiers, `LABEL_0` or `neutral` in others); every other label counts as toxic.
The PPO lab takes the first entry of a list that its pipeline has sorted by score. So it rewards a hateful text
with its hate logit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import datasets
import evaluate
import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from labhelpers.errors import DataError, ModelError, TrainingError
from labhelpers.policy.classifier import class_logits, label_index, load_classifier
from labhelpers.policy.model import Policy
from labhelpers.policy.rollout import generate_texts
from labhelpers.policy.sampling import POLICY_ITSELF, Sampling

HARMLESS_LABEL = "nothate"  # of the course's classifiers and of the full profile's


def harmless_index(model: PreTrainedModel, harmless_label: str) -> int:
    """The column of the harmless class in the logits of a classifier that gives every text exactly one label.

    Raises ModelError for a label that the classifier does not have; the message names its labels. Raises ModelError
    also for a classifier of another kind, in which no class means "not toxic": with a single output, or with any number
    of labels for one text (one sigmoid each).
    """
    kind = getattr(model.config, "problem_type", None)
    if model.config.num_labels < 2 or kind not in (None, "single_label_classification"):
        labels = ", ".join(map(repr, model.config.id2label.values()))
        raise ModelError(
            f"the classifier does not choose between classes of which one is harmless (its labels are {labels}, its "
            f"problem_type is {kind}). Choose a classifier with two or more classes that exclude each other."
        )
    return label_index(model, harmless_label)


class Toxicity(evaluate.Measurement):
    """The probability of being toxic for every text, as `evaluate`'s public measurement `toxicity`, but offline.

    All classes except the one called `harmless_label` count as toxic.

    >>> Toxicity(model, tokenizer).compute(predictions=["A friendly text.", "You are an idiot."])  # doctest: +SKIP
    {'toxicity': [0.002, 0.99]}

    `aggregation="maximum"` returns `{"max_toxicity": …}`, `"ratio"` `{"toxicity_ratio": …}`, the share of texts with at
    least 0.5; both raise DataError when there are no texts. Raises ModelError as `harmless_index` does.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        harmless_label: str = HARMLESS_LABEL,
        batch_size: int = 64,
    ):
        self.model, self.tokenizer, self.batch_size = model, tokenizer, batch_size
        self.harmless_index = harmless_index(model, harmless_label)
        # evaluate makes a folder even when it keeps everything in memory; a home folder may be read-only.
        with tempfile.TemporaryDirectory(prefix="labhelpers-evaluate-") as folder:
            super().__init__(keep_in_memory=True, cache_dir=folder)

    def _info(self) -> evaluate.MeasurementInfo:
        return evaluate.MeasurementInfo(
            description="Probability of not being harmless, by a hate speech classifier.",
            citation="Vidgen et al. 2021, Learning from the Worst (the classifier of the full profile)",
            inputs_description="predictions: texts. aggregation: 'all', 'maximum' or 'ratio' (share of at least 0.5).",
            features=datasets.Features({"predictions": datasets.Value("string")}),
        )

    def score(self, texts: Sequence[str]) -> list[float]:
        """The probability of being toxic for every text: the sum over all classes except the harmless one."""
        probabilities = class_logits(self.model, self.tokenizer, texts, self.batch_size).softmax(-1)
        toxic = [i for i in range(probabilities.shape[-1]) if i != self.harmless_index]
        return probabilities[:, toxic].sum(-1).tolist()

    def _compute(self, predictions, aggregation: str = "all") -> dict[str, list[float] | float]:
        scores = self.score(predictions)
        if aggregation == "all":
            return {"toxicity": scores}
        if not scores and aggregation in ("maximum", "ratio"):
            raise DataError(f"there is no text whose toxicity could be measured with aggregation={aggregation!r}.")
        if aggregation == "maximum":
            return {"max_toxicity": max(scores)}
        if aggregation == "ratio":
            return {"toxicity_ratio": sum(score >= 0.5 for score in scores) / len(scores)}
        raise DataError(f"aggregation={aggregation!r} is unknown; choose 'all', 'maximum' or 'ratio'.")


def load_toxicity(
    location, harmless_label: str = HARMLESS_LABEL, dtype: str | torch.dtype = "auto", device: str = "auto"
) -> Toxicity:
    """The measurement with the classifier at `location`; see `load_classifier` and `Toxicity`."""
    model, tokenizer = load_classifier(location, dtype, device)
    return Toxicity(model, tokenizer, harmless_label)


def evaluate_toxicity(
    policy: Policy,
    toxicity: Toxicity,
    tokenizer: PreTrainedTokenizerBase,
    dataset: Dataset,
    num_samples: int,
    max_new_tokens: int = 100,
    *,
    sampling: Sampling = POLICY_ITSELF,
    batch_size: int = 64,
    seed: int = 0,
) -> tuple[float, float]:
    """Mean and standard deviation of the toxicity of one response to each of the first `num_samples` queries.

    The PPO lab's function (section 2.3), with what it means to do: exactly `num_samples` responses (the lab's loop
    makes one more), sampled from the whole distribution (its `tok_k` leaves a `top_k` of 50 in force) and scored
    without the prompt. The random numbers depend on `seed` and the row alone. `dataset` is one of `build_dataset`.
    Raises DataError when it has fewer rows than `num_samples`, or when that is less than 1.
    """
    if not 1 <= num_samples <= len(dataset):
        raise DataError(f"num_samples is {num_samples}, but must be between 1 and the number of rows, {len(dataset)}.")
    texts = generate_texts(
        policy, tokenizer, dataset[:num_samples]["query"], max_new_tokens, batch_size, sampling=sampling, seed=seed
    )
    scores = toxicity.score(texts)
    return float(np.mean(scores)), float(np.std(scores))


class ToxicityReward:
    """The reward of the PPO lab: the classifier's raw logit of `harmless_label`, found by name.

    By default only the response is scored. With `score_prompt`, prompt + response are scored, as in the PPO lab: the
    prompt's words then dilute the difference. (A text that is too long loses its beginning, not the response.) Raises
    ModelError as `harmless_index` does.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        harmless_label: str = HARMLESS_LABEL,
        score_prompt: bool = False,
        batch_size: int = 64,
    ):
        self.model, self.tokenizer = model, tokenizer
        self.index = harmless_index(model, harmless_label)
        self.score_prompt, self.batch_size = score_prompt, batch_size

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> Tensor:
        """Rewards `[B]` on the CPU. Raises DataError for unequal lengths, TrainingError for a reward of NaN or ±∞."""
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
