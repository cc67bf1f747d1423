"""Models of the labs' shapes with random weights, a tokenizer and prompts for them: speed does not depend on weights.

One thing about the weights does matter: logits that are spread much wider than a trained model's make probabilities,
and then gradients, denormal, and CPUs multiply denormal numbers several times slower. `lm_head` is scaled for that.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
)

SHAPES = {
    "tiny": {"d_model": 64, "d_ff": 128, "num_layers": 2, "num_heads": 2},  # to try the benchmark itself
    "small": {"d_model": 512, "d_ff": 1024, "num_layers": 8, "num_heads": 6},  # FLAN-T5-small
    "base": {"d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12},  # FLAN-T5-base
}
PROMPT = "\nSummarize the following conversation.\n\n{dialogue}\n\nSummary:\n"
EOS = 1


def read_rows(dialogues: str | Path) -> list[dict]:
    """Rows with "dialogue" and "summary", those of 200 < characters <= 1000, as the labs keep them."""
    rows = [json.loads(line) for line in Path(dialogues).read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if 200 < len(row["dialogue"]) <= 1000]


def make_tokenizer(rows: list[dict]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on the dialogues; it ends every text with end-of-sequence, as T5's does."""
    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=8000, special_tokens=special, show_progress=False)
    bpe.train_from_iterator([row["dialogue"] + " " + row["summary"] for row in rows], trainer)
    bpe.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", EOS)])
    return PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def make_queries(rows: list[dict], tokenizer: PreTrainedTokenizerFast, steps: int, batch: int) -> list[list[list[int]]]:
    """The prompts' ids, `[steps][batch]`: the rows in their order, cut to 480 tokens."""
    prompts = [PROMPT.format(dialogue=rows[i % len(rows)]["dialogue"]) for i in range(steps * batch)]
    ids = [tokenizer(prompt, truncation=True, max_length=480).input_ids for prompt in prompts]
    return [ids[step * batch : (step + 1) * batch] for step in range(steps)]


def draw_limits(max_new: tuple[int, int], steps: int, batch: int) -> list[list[int]]:
    """How many tokens each response gets, `[steps][batch]`: the lab's sampler, low <= n < high, from seed 0."""
    random.seed(0)
    return [[random.randint(max_new[0], max_new[1] - 1) for _ in range(batch)] for _ in range(steps)]


def make_model(shape: str, dtype: torch.dtype) -> T5ForConditionalGeneration:
    """FLAN-T5 of a shape: gated GELU, an `lm_head` of its own, vocabulary 32,128."""
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=32128, d_kv=64, feed_forward_proj="gated-gelu", tie_word_embeddings=False,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=EOS, **SHAPES[shape],
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(0.15)  # logits with a standard deviation of 3 to 4, a trained model's size
        model.lm_head.weight[EOS] = 0  # end-of-sequence then has a probability of about 1e-7: token counts are equal
    return model.to(dtype).eval()


def make_classifier(dtype: torch.dtype, shape: str = "base") -> RobertaForSequenceClassification:
    """A hate speech classifier of RoBERTa-base's shape (smaller for the shape "tiny")."""
    small = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    labels = {"id2label": {0: "nothate", 1: "hate"}, "label2id": {"nothate": 0, "hate": 1}}
    size = small if shape == "tiny" else {}
    config = RobertaConfig(vocab_size=50265, max_position_embeddings=514, num_labels=2, **labels, **size)
    return RobertaForSequenceClassification(config).to(dtype).eval()
