"""Random models for the tests: tiny ones of both families, and some with real shapes, saved as on the Hub."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
)

FAMILIES = ("t5", "flan-t5", "llama", "gpt2")
PROMPTS = [
    "Anna asks for two tickets to the lake on Friday at 7 pm.",
    "A taxi, please!",
    "#Person1#: The cat is ill.\n#Person2#: Bring it in at noon then, and do not be late.",
    "How much is the red coat?",
    "No.",
]


def byte_tokenizer(eos: bool = True) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer; with `eos`, it appends end-of-sequence to a text, as T5's tokenizer does."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<pad>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(PROMPTS * 3, trainer)
    if eos:
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>")


def tiny_model(family: str, seed: int = 0) -> torch.nn.Module:
    """A random model of a family in float32."""
    torch.manual_seed(seed)
    vocab = len(byte_tokenizer())
    if family in ("t5", "flan-t5"):
        flan = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False} if family == "flan-t5" else {}
        model = T5ForConditionalGeneration(
            T5Config(
                vocab_size=vocab, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, dropout_rate=0.0,
                decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, **flan,
            )
        )  # fmt: skip
        if family == "flan-t5":
            model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight) * 0.2)
    elif family == "llama":
        config = LlamaConfig(
            vocab_size=vocab, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=160, pad_token_id=0, bos_token_id=None, eos_token_id=1,
            initializer_range=0.2,
        )  # fmt: skip
        model = LlamaForCausalLM(config)
    else:
        config = GPT2Config(
            vocab_size=vocab, n_embd=32, n_layer=2, n_head=4, n_positions=160, pad_token_id=0, bos_token_id=1,
            eos_token_id=1, initializer_range=0.2, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        )  # fmt: skip
        model = GPT2LMHeadModel(config)
    model.get_output_embeddings().weight.data[1] *= (
        4  # so that end-of-sequence is sometimes drawn, as in a trained model
    )
    return model.eval()


def save_model(family: str, folder: Path, seed: int = 0, **options) -> Path:
    """Saves a tiny model and its tokenizer in the Hub's form; `options` are those of `save_pretrained`."""
    tiny_model(family, seed).save_pretrained(folder, **options)
    byte_tokenizer(eos="t5" in family).save_pretrained(folder)
    if family == "flan-t5":
        as_published(folder)
    return folder


def as_published(folder: Path) -> None:
    """Corrects FLAN-T5's config to that of the Hub. Transformers 5 writes `true`, which would tie input and output."""
    config = json.loads((folder / "config.json").read_text())
    config["tie_word_embeddings"] = False
    (folder / "config.json").write_text(json.dumps(config))


def save_sft_adapter(family: str, folder: Path) -> Path:
    """A "trained" SFT adapter for the family: random A *and* B, so that it changes the model noticeably."""
    targets = {"llama": ["q_proj", "v_proj"], "gpt2": ["c_attn"]}.get(family, ["q", "v"])
    task = "SEQ_2_SEQ_LM" if "t5" in family else "CAUSAL_LM"
    model = get_peft_model(tiny_model(family), LoraConfig(r=4, lora_alpha=8, target_modules=targets, task_type=task))
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data.normal_(std=0.3)
    model.save_pretrained(folder)
    return folder


FLAN_T5_SMALL = {
    "vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 1024, "num_layers": 8, "num_heads": 6,
    "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "dropout_rate": 0.1,
    "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1,
}  # fmt: skip


def save_flan_t5_small(folder: Path, texts: list[str]) -> Path:
    """FLAN-T5-small's shape (76,961,152 parameters) with random weights, and a tokenizer trained on `texts`."""
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(T5Config(**FLAN_T5_SMALL))
    # Logits as large as in trained models. Larger ones make backward slow (denormal numbers).
    model.lm_head.weight = torch.nn.Parameter(torch.randn(32128, 512) * 512**-0.5)
    model.save_pretrained(folder)
    as_published(folder)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=3000, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    ).save_pretrained(folder)
    return folder


def save_roberta(folder: Path, tokenizer: Path, labels: tuple[str, ...] = (), **shape) -> Path:
    """Saves a random RoBERTa as on the Hub: a classifier with `labels`, or a bare encoder without.

    `tokenizer` is the folder of its tokenizer. Its shape is that of roberta-base, except for the vocabulary and the
    fields of the config in `shape`.
    """
    from transformers import AutoTokenizer, RobertaModel

    torch.manual_seed(0)
    words = AutoTokenizer.from_pretrained(tokenizer)
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    config = RobertaConfig(
        **{"vocab_size": len(words), "max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1} | shape,
        **(names if labels else {}),
    )
    config.pad_token_id = words.pad_token_id
    (RobertaForSequenceClassification if labels else RobertaModel)(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def put_into_cache(cache: Path, name: str, folder: Path, kind: str = "model", revision: str = "main") -> Path:
    """Copies a folder into the Hub's cache as the repository `name`; returns the folder of the snapshot."""
    home = cache / f"{kind}s--{name.replace('/', '--')}"
    commit = hashlib.sha1(f"{name} {revision}".encode()).hexdigest()
    snapshot = home / "snapshots" / commit
    shutil.copytree(folder, snapshot)
    (home / "refs").mkdir(exist_ok=True)
    (home / "refs" / revision).write_text(commit)
    return snapshot
