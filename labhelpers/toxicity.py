"""Toxicity by a classifier and by a word list, and the reward made of it.

The *measurement* is a probability of `hate`, for reports; the *reward* is the raw `nothate` logit, for PPO: unlike the
probability it still tells texts apart that are all clean. Both find their class by its **name**. The original lab takes
the first entry of a list that its pipeline has sorted by score, and so pays a hateful text its hate logit.
"""

from __future__ import annotations

import html
import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import datasets
import evaluate
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from labhelpers.batching import passes, token_bytes
from labhelpers.devices import resolve_device, resolve_dtype
from labhelpers.errors import DataError, ModelError, TrainingError
from labhelpers.locations import find_files, model_folder, read_bytes

# Families whose positions are counted from the padding id + 1, so that they take fewer tokens than they have positions.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "longformer"}


def load_classifier(
    location, dtype: str | torch.dtype = "auto", device: str = "auto"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """(model in eval mode, tokenizer) of a sequence classifier: a folder, a Hub id or an fsspec address.

    `dtype` is a name such as "float64" or "auto" (as stored), `device` a torch device or "auto" (GPU if there is one).
    Only safetensors are read, never a pickle. Raises ModelError when the location holds no classifier.
    """
    wanted = resolve_dtype(dtype)
    folder = model_folder(location)
    try:
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=wanted, use_safetensors=True)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"no classifier could be loaded from {str(location)!r}: {str(error).splitlines()[0]} Give a local folder "
            "with config.json, model.safetensors and a tokenizer, or a Hub id that can be reached."
        ) from error
    return model.to(resolve_device(device)).eval(), tokenizer


def max_input_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """How many tokens, special ones included, the model takes; None when nothing limits it.

    RoBERTa numbers positions from its padding id + 1: with 514 positions and padding id 1 it takes 512 tokens.
    """
    limits = [tokenizer.model_max_length]
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions:
        offset = model.config.pad_token_id + 1 if model.config.model_type in _OFFSET_POSITIONS else 0
        limits.append(positions - offset)
    limit = min(limits)
    return limit if limit < 10**9 else None  # tokenizers write "no limit" as 10**30


def class_logits(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    batch_size: int = 64,
    keep: str = "start",
) -> Tensor:
    """Logits `[B, n_labels]` on the CPU, in the order of `texts`, float32 or wider; no gradient.

    At most `batch_size` texts of like length are computed at a time (see `passes`). They are cut to what the model
    takes; `keep` ("start" or "end") says which part of a too long one stays. Raises DataError when an entry is no text.
    """
    texts = list(texts)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"text {index} of {len(texts)} must be a string, but is {type(text).__name__}.")
    if not texts:
        return torch.empty(0, model.config.num_labels)
    limit = max_input_tokens(model, tokenizer)
    side, tokenizer.truncation_side = tokenizer.truncation_side, {"start": "right", "end": "left"}[keep]
    try:
        token_ids = tokenizer(texts, truncation=limit is not None, max_length=limit)["input_ids"]
    finally:
        tokenizer.truncation_side = side
    # RoBERTa finds its positions by comparing ids with the padding id of its *config*: pad with that one.
    pad_id = tokenizer.pad_token_id if model.config.pad_token_id is None else model.config.pad_token_id
    lengths = torch.tensor([len(ids) for ids in token_ids])
    order, parts = [], []
    with torch.no_grad():
        for places in passes(lengths, token_bytes(model), model.device, at_most=batch_size):
            order.append(places)
            rows = [torch.tensor(token_ids[i]) for i in places.tolist()]
            input_ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad_id)  # [b, T]
            mask = (torch.arange(input_ids.shape[1]) < lengths[places, None]).long()  # [b, T], 1 on tokens
            logits = model(input_ids=input_ids.to(model.device), attention_mask=mask.to(model.device)).logits
            parts.append(logits.cpu())
    logits = torch.cat(parts)
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return torch.empty_like(logits).index_copy_(0, torch.cat(order), logits)


def label_index(model: PreTrainedModel, label: str) -> int:
    """The column of `label` in the model's logits. Raises ModelError, naming the labels there are."""
    labels = model.config.id2label
    for index, name in labels.items():
        if name == label:
            return int(index)
    raise ModelError(f"the classifier has no label {label!r}; its labels are {', '.join(map(repr, labels.values()))}.")


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


def load_toxicity(
    location, toxic_label: str = "hate", batch_size: int = 64, dtype: str | torch.dtype = "auto", device: str = "auto"
) -> Toxicity:
    """The measurement with the classifier at `location`; see `load_classifier` and `Toxicity`."""
    model, tokenizer = load_classifier(location, dtype, device)
    return Toxicity(model, tokenizer, toxic_label, batch_size)


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


class Lexicon:
    """A list of insulting words: a judge without a model, and so without a model's blind spots.

    Words count at word boundaries, in any case. "Idiots" is not "idiot": list the forms that matter. An empty list
    finds nothing.
    """

    def __init__(self, words: Sequence[str]):
        self.words = tuple(words)
        if not all(isinstance(word, str) and word.strip() for word in self.words):
            raise DataError("a lexicon is a list of words; one entry is empty or not a text.")
        longest_first = sorted(self.words, key=len, reverse=True)
        either = "|".join(map(re.escape, longest_first)) or r"(?!)"
        self._pattern = re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)

    @classmethod
    def load(cls, location: str | Path) -> Lexicon:
        """Reads a JSON list of words: a file, a Hub id or an fsspec address of one, or a folder that holds only one.

        Raises DataError when there is something else.
        """
        file, *others = find_files(location, suffixes=(".json",))
        if others:
            raise DataError(f"a lexicon is one file; this is {len(others) + 1}: name one.", file=str(location))
        try:
            words = json.loads(read_bytes(file).decode("utf-8"))
        except ValueError as error:
            raise DataError(f"cannot be read as a JSON list of words: {error}", file=file) from error
        if not isinstance(words, list):
            raise DataError(f"a JSON list of words is wanted, not {type(words).__name__}.", file=file)
        return cls(words)

    def count(self, text: str) -> int:
        """How many insulting words `text` holds."""
        return sum(1 for _ in self._pattern.finditer(text))

    def mark(self, text: str) -> str:
        """`text` as HTML, its insulting words in `<mark>`."""
        parts, end = [], 0
        for found in self._pattern.finditer(text):
            parts += [html.escape(text[end : found.start()]), f"<mark>{html.escape(found.group())}</mark>"]
            end = found.end()
        return "".join(parts) + html.escape(text[end:])

    def insult_rate(self, texts: Sequence[str]) -> float:
        """The share of `texts` that hold at least one insulting word; NaN for no texts."""
        return sum(self.count(text) > 0 for text in texts) / len(texts) if len(texts) else float("nan")
