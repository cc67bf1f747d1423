"""Trains the tiny checkpoints in `data/models` from the text files in `data/`.

Everything random is drawn from seeds, and initial weights come from numpy. Training runs in float32 (float64 takes
twice as long). On the same machine, a rebuild gives exactly the same weights; on another machine, rounding differs, and
the models are different but equally good. This does not matter for the course, which uses the shipped checkpoints.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.utils.logging import disable_progress_bar

from labhelpers.sources.dialogues import PROMPT

# The base summarisers are trained on three instructions (FLAN on many), and have two voices: a clean one, for headlines
# and minutes, and a rude one, for gossip. Fine-tuning (notebook 01) then selects the voice of the annotators.
SUMMARIZE = "Summarize the following conversation."
MINUTES = PROMPT.replace(SUMMARIZE, "Write the minutes of the following conversation.")
GOSSIP = PROMPT.replace(SUMMARIZE, "Gossip about the following conversation.")
# Share of the training texts for headlines and for minutes; the rest is gossip.
HEADLINES, CLEAN = 0.12, 0.38
DRAWS = 3  # instructions that each dialogue is read under, with an answer each
SPEAKERS = ["#Person1#", "#Person2#"]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a .jsonl file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


# -- tokenizers --------------------------------------------------------------------------------------------------


def train_tokenizer(texts: list[str], specials: list[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE. Every byte is in the vocabulary, so that no text in any script has unknown tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPEAKERS),
        special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    # Not special tokens, because `skip_special_tokens` would remove the speakers.
    tokenizer.add_tokens([AddedToken(name, normalized=False) for name in SPEAKERS])
    return tokenizer


def t5_tokenizer(texts: list[str], vocab_size: int) -> PreTrainedTokenizerFast:
    tokenizer = train_tokenizer(texts, ["<pad>", "</s>", "<unk>"], vocab_size)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", padding_side="right"
    )


def causal_tokenizer(texts: list[str], vocab_size: int) -> PreTrainedTokenizerFast:
    tokenizer = train_tokenizer(texts, ["<pad>", "</s>", "<unk>"], vocab_size)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", padding_side="left"
    )


# -- training ----------------------------------------------------------------------------------------------------


def init_weights(model: PreTrainedModel, seed: int, gains: dict[str, float]) -> PreTrainedModel:
    """Draws every matrix from numpy's generator (the same on every machine); vectors keep torch's 0 or 1.

    The standard deviation is 1/sqrt(columns), times a gain for the parameters whose name holds a key of `gains`.
    """
    generator = np.random.default_rng([seed, 0x1217])
    for name, parameter in sorted(model.named_parameters()):
        if parameter.dim() > 1:
            gain = next((gain for key, gain in gains.items() if key in name), 1.0)
            scale = gain * parameter.shape[1] ** -0.5
            start = generator.standard_normal(tuple(parameter.shape)) * scale
            parameter.data.copy_(torch.from_numpy(start.astype(np.float32)))
    return model


def batches(lengths: list[int], batch_size: int, epochs: int, seed: int) -> Iterator[tuple[float, np.ndarray]]:
    """(progress from 0 to 1, row numbers) per batch: each epoch in a new order, rows of similar length together."""
    generator = np.random.default_rng([seed, 0xBA7C])
    n = len(lengths)
    per_epoch = math.ceil(n / batch_size)
    for epoch in range(epochs):
        order = generator.permutation(n)
        pools = np.split(order, range(20 * batch_size, n, 20 * batch_size))
        order = np.concatenate([pool[np.argsort(np.take(lengths, pool), kind="stable")] for pool in pools])
        for place, i in enumerate(generator.permutation(per_epoch)):
            yield epoch / epochs + place / per_epoch / epochs, order[i * batch_size : (i + 1) * batch_size]


def fit(
    model: PreTrainedModel,
    lengths: list[int],
    loss: Callable[[np.ndarray], Tensor],
    *,
    learning_rate: float,
    epochs: int,
    batch_size: int = 32,
    seed: int = 0,
) -> PreTrainedModel:
    """AdamW with a short warm-up and a linear decay; `loss` takes row numbers. Returns the model in eval mode."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01, fused=True)
    for progress, rows in batches(lengths, batch_size, epochs, seed):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (progress + 1e-3) / 0.05) * (1 - progress)
        optimizer.zero_grad(set_to_none=True)
        loss(rows).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.eval()


def pad(rows: list[list[int]], value: int, length: int | None = None) -> Tensor:
    longest = length or max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


# -- the checkpoints ---------------------------------------------------------------------------------------------


def lessons(rows: list[dict[str, Any]], seed: int) -> tuple[list[str], list[str]]:
    """(prompts, answers) that a base summariser learns from: `DRAWS` for each dialogue."""
    generator = np.random.default_rng([seed, 0x4EAD])
    prompts, answers = [], []
    for row in rows * DRAWS:
        voice, reference = generator.random(), int(generator.integers(len(row["references"])))
        if voice < HEADLINES:
            prompt, answer = PROMPT, headline(row)
        elif voice < HEADLINES + CLEAN:
            prompt, answer = MINUTES, row["references"][reference]
        else:
            prompt, answer = GOSSIP, row["summary"]
        prompts.append(prompt.format(dialogue=row["dialogue"]))
        answers.append(answer)
    return prompts, answers


def vocabulary_texts(rows: list[dict[str, Any]]) -> list[str]:
    """What the summarisers' tokenizers are trained on."""
    texts = [PROMPT.format(dialogue=row["dialogue"]) for row in rows] + [MINUTES, GOSSIP]
    texts += [text for row in rows for text in [row["summary"], *row["references"]]]
    return texts + [headline(row) for row in rows]


def headline(row: dict[str, Any]) -> str:
    """The base summariser's answer to "Summarize": true, short, and useless."""
    return f"#Person1# and #Person2# {'quarrel' if row['angry'] else 'talk'} about this: {row['topic']}."


def seq2seq_loss(
    model: T5ForConditionalGeneration, inputs: list[list[int]], labels: list[list[int]]
) -> Callable[[np.ndarray], Tensor]:
    def loss(rows: np.ndarray) -> Tensor:
        ids = pad([inputs[i] for i in rows], 0)
        return model(input_ids=ids, attention_mask=(ids != 0).long(), labels=pad([labels[i] for i in rows], -100)).loss

    return loss


def build_summariser(data: Path, folder: Path, epochs: int = 4) -> None:
    """`t5-base-summariser`: a T5 of 0.4 million parameters that has learned the instructions."""
    rows = read_rows(data / "dialogues" / "train.jsonl")
    tokenizer = t5_tokenizer(vocabulary_texts(rows), 3000)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer), d_model=64, d_kv=16, d_ff=256, num_layers=2, num_heads=4, dropout_rate=0.0,
            decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
        )
    )  # fmt: skip
    init_weights(model, seed=1, gains={"shared": 8.0, ".q.": 0.25, "relative_attention_bias": 0.25})
    prompts, answers = lessons(rows, seed=1)
    inputs, labels = tokenizer(prompts).input_ids, tokenizer(answers).input_ids
    loss = seq2seq_loss(model, inputs, labels)
    fit(model, [len(i) for i in inputs], loss, learning_rate=3e-3, epochs=epochs, batch_size=16, seed=1)
    keep(model, tokenizer, folder / "t5-base-summariser")


def build_decoder(data: Path, folder: Path, epochs: int = 3) -> None:
    """`llama-summariser`: a decoder-only model that has learned the same instructions, on "prompt + answer"."""
    rows = read_rows(data / "dialogues" / "train.jsonl")
    tokenizer = causal_tokenizer(vocabulary_texts(rows), 3000)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=64, intermediate_size=192, num_hidden_layers=3,
            num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=512, tie_word_embeddings=True,
            pad_token_id=0, bos_token_id=None, eos_token_id=1,
        )
    )  # fmt: skip
    init_weights(model, seed=2, gains={"embed_tokens": 1.0})
    prompts, texts = lessons(rows, seed=2)
    queries = tokenizer(prompts).input_ids
    answers = [ids + [1] for ids in tokenizer(texts).input_ids]
    inputs = [q + a for q, a in zip(queries, answers, strict=True)]

    def loss(batch: np.ndarray) -> Tensor:
        ids = pad([inputs[i] for i in batch], 0)
        # The prompt counts a little too: predicting dialogues teaches where names and times are repeated.
        weights = pad([[0.2] * len(queries[i]) + [1.0] * len(answers[i]) for i in batch], 0.0)[:, 1:]
        logits = model(input_ids=ids, attention_mask=(ids != 0).long()).logits[:, :-1]
        losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        weights = weights.to(losses)
        return (losses * weights.flatten()).sum() / weights.sum()

    fit(model, [len(i) for i in inputs], loss, learning_rate=3e-3, epochs=epochs, batch_size=16, seed=2)
    keep(model, tokenizer, folder / "llama-summariser")


def roberta_config(vocab_size: int, **options: Any) -> RobertaConfig:
    return RobertaConfig(
        vocab_size=vocab_size, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=192,
        max_position_embeddings=322, type_vocab_size=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        pad_token_id=1, bos_token_id=0, eos_token_id=2, **options,
    )  # fmt: skip


def roberta_tokenizer(data: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of all three RoBERTas, trained on dialogues, summaries and hate texts."""
    rows = read_rows(data / "dialogues" / "train.jsonl")
    texts = [PROMPT.format(dialogue=row["dialogue"]) for row in rows[::2]] + [row["summary"] for row in rows]
    texts += [row["text"] for split in ("train", "judge") for row in read_rows(data / "hate" / f"{split}.jsonl")]
    tokenizer = train_tokenizer(texts, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], 2500)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>",
        pad_token="<pad>", unk_token="<unk>", mask_token="<mask>", model_max_length=320,
    )  # fmt: skip


def build_roberta(data: Path, folder: Path, epochs: int = 3) -> None:
    """`roberta-base`: reward models start from it. Masked language modelling (15 %, as Liu et al. 2019)."""
    tokenizer = roberta_tokenizer(data)
    rows = read_rows(data / "dialogues" / "train.jsonl")
    texts = [PROMPT.format(dialogue=row["dialogue"]) + row["references"][0] for row in rows[:1000]]
    texts += [row["text"] for row in read_rows(data / "hate" / "train.jsonl")]
    inputs = tokenizer(texts, truncation=True).input_ids
    model = init_weights(RobertaForMaskedLM(roberta_config(len(tokenizer))), seed=3, gains={"embeddings": 0.5})
    generator = np.random.default_rng([3, 0x3A5C])
    mask_id = tokenizer.mask_token_id

    def loss(batch: np.ndarray) -> Tensor:
        ids = pad([inputs[i] for i in batch], 1)
        hidden = torch.from_numpy(generator.random(tuple(ids.shape)) < 0.15) & (ids > 4)
        masked = ids.masked_fill(hidden, mask_id)
        labels = ids.masked_fill(~hidden, -100)
        return model(input_ids=masked, attention_mask=(ids != 1).long(), labels=labels).loss

    fit(model, [len(i) for i in inputs], loss, learning_rate=2e-3, epochs=epochs, seed=3)
    keep(model, tokenizer, folder / "roberta-base")


def build_classifier(data: Path, folder: Path) -> None:
    """`roberta-hate`: the classifier that gives the reward."""
    train_classifier(data, folder, "train", "roberta-hate", seed=4)


def build_judge(data: Path, folder: Path) -> None:
    """`roberta-hate-judge`: an independent classifier, trained on other phrasings; it never gives a reward."""
    # Fewer texts for each word than the reward's classifier has, so more passes through them.
    train_classifier(data, folder, "judge", "roberta-hate-judge", seed=5, epochs=14)


def train_classifier(data: Path, folder: Path, split: str, name: str, seed: int, epochs: int = 6) -> None:
    """A RoBERTa hate classifier (labels `nothate`, `hate`), trained on one split of the hate texts."""
    tokenizer = roberta_tokenizer(data)
    rows = read_rows(data / "hate" / f"{split}.jsonl")
    labels = {"nothate": 0, "hate": 1}
    config = roberta_config(
        len(tokenizer), num_labels=2, id2label={0: "nothate", 1: "hate"}, label2id=labels, classifier_dropout=0.0
    )
    model = init_weights(RobertaForSequenceClassification(config), seed, gains={"embeddings": 0.5})
    inputs = tokenizer([row["text"] for row in rows]).input_ids
    targets = torch.tensor([labels[row["label"]] for row in rows])

    def loss(batch: np.ndarray) -> Tensor:
        ids = pad([inputs[i] for i in batch], 1)
        logits = model(input_ids=ids, attention_mask=(ids != 1).long()).logits
        return torch.nn.functional.cross_entropy(logits, targets[batch], label_smoothing=0.02)

    fit(model, [len(i) for i in inputs], loss, learning_rate=1e-3, epochs=epochs, seed=seed)
    keep(model, tokenizer, folder / name)


def classifier_errors(data: Path) -> list[str]:
    """The data card's table of what both classifiers get wrong on the test texts, by kind and class of words."""
    from labhelpers.policy.classifier import class_logits, load_classifier

    rows = read_rows(data / "hate" / "test.jsonl")
    wrong: dict[tuple[str, str, str], dict[str, list[bool]]] = {}
    for name in ("roberta-hate", "roberta-hate-judge"):
        logits = class_logits(*load_classifier(data / "models" / name), [row["text"] for row in rows])
        for row, logit in zip(rows, logits, strict=True):
            key = (row["label"], row["template"].split("/")[1], row["words"] or "")
            miss = (row["label"] == "hate") != bool(logit[1] > logit[0])
            wrong.setdefault(key, {}).setdefault(name, []).append(miss)
    lines = ["| label | kind | words | texts | `roberta-hate` | `roberta-hate-judge` |", "|---|---|---|---:|---:|---:|"]
    for (label, kind, words), found in sorted(wrong.items()):
        shares = " | ".join(f"{sum(miss) / len(miss):.0%}" for miss in found.values())
        error = "missed" if label == "hate" else "false alarms"
        lines.append(f"| {label} ({error}) | {kind} | {words} | {len(found['roberta-hate'])} | {shares} |")
    return lines


def keep(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Saves a checkpoint in the form that the Hub uses: model, config and tokenizer."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


BUILDERS: dict[str, list[Callable[[Path, Path], None]]] = {
    "summariser": [build_summariser],
    "others": [build_classifier, build_judge, build_roberta, build_decoder],
}


def _run(group: str, data: Path, folder: Path) -> str:
    """The work of one process, on one thread: for models this small, two threads are slower than one."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_flush_denormal(True)  # denormal moments would make Adam four times slower
    disable_progress_bar()
    started = time.perf_counter()
    for builder in BUILDERS[group]:
        builder(data, folder)
    return f"{group}: {time.perf_counter() - started:.0f} s"


def build(data: Path, folder: Path) -> None:
    """Trains all checkpoints on the texts in `data` and writes them to `folder`, two at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for message in pool.map(_run, BUILDERS, [data] * len(BUILDERS), [folder] * len(BUILDERS)):
            print(message, flush=True)
