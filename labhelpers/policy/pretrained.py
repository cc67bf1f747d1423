"""Loading models and tokenizers: one way for policies, classifiers and reward models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from labhelpers.errors import ModelError
from labhelpers.policy.fast.operations import fused_operations
from labhelpers.sources.devices import resolve_device, resolve_dtype
from labhelpers.sources.locations import model_folder


def load_language_model(location: str, dtype: str | torch.dtype | None, device: str) -> PreTrainedModel:
    """The language model at `location`, of the family that its config names; see `_placed`.

    Raises ModelError when the location holds none.
    """
    wanted, folder = resolve_dtype(dtype), model_folder(location)
    with _refusing("language model", location, "config.json and model.safetensors"):
        config = AutoConfig.from_pretrained(folder)
        family = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model, info = family.from_pretrained(folder, dtype=wanted, use_safetensors=True, output_loading_info=True)
    if missing := sorted({*info["missing_keys"], *_names(info["mismatched_keys"])}):
        raise ModelError(
            f"the checkpoint in {str(location)!r} lacks {len(missing)} parameters of {type(model).__name__}, "
            f"{missing[0]} among them: they would be random. Copy or download it again, or check its config.json."
        )
    return _placed(model, device)


def load_text_classifier(
    location: str, dtype: str | torch.dtype | None, device: str, what: str = "classifier", **options: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, list[str]]:
    """(model, tokenizer, names of the parameters that the checkpoint does not have in this shape); see `_placed`.

    `what` is the name of the model in error messages, `options` are those of `from_pretrained`. Raises ModelError when
    the location holds no such model, or a tokenizer with ids that the model does not know.
    """
    wanted, folder = resolve_dtype(dtype), model_folder(location)
    with _refusing(what, location, "config.json, model.safetensors and a tokenizer"):
        model, info = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=wanted, use_safetensors=True, output_loading_info=True, **options
        )
        tokenizer = AutoTokenizer.from_pretrained(folder)
    check_vocabulary(tokenizer, model.get_input_embeddings().num_embeddings)
    missing = sorted({*info["missing_keys"], *_names(info["mismatched_keys"])})
    return _placed(model, device), tokenizer, missing


def _names(entries: Iterable[str | tuple]) -> list[str]:
    """The names of parameters, which transformers gives alone or with their shapes."""
    return [entry[0] if isinstance(entry, tuple) else entry for entry in entries]


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, embeddings: int) -> None:
    """Raises ModelError for a tokenizer with an id that the model has no embedding for.

    The first text with such a token, or the first padding, would end in an IndexError.
    """
    token, largest = max(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    if largest >= embeddings:
        raise ModelError(
            f"the tokenizer has ids up to {largest} (for {token!r}), but the model has {embeddings} embeddings, ids "
            f"0 to {embeddings - 1}. If a token was added, give the model an embedding for it once "
            "(`model.resize_token_embeddings(len(tokenizer))`, then `save_pretrained`), or, for a padding token, name "
            "one that the model knows in tokenizer_config.json. Otherwise the tokenizer is another model's."
        )


def _placed(model: PreTrainedModel, device: str) -> PreTrainedModel:
    """The model on its device, in eval mode, with the operations that are known made faster."""
    return fused_operations(model.to(resolve_device(device, model.dtype)).eval())


@contextmanager
def _refusing(what: str, location: str, files: str) -> Iterator[None]:
    """Turns what transformers raises for a location without a model into a ModelError that says what to give."""
    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(
            f"no {what} could be loaded from {str(location)!r}: {str(error).splitlines()[0]} Give a local folder with "
            f"{files}, a Hub id that can be reached or an fsspec address; the tiny profile needs none of them."
        ) from error
