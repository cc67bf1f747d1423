"""Small random models of both families for the tests: no file of the course is needed."""

from __future__ import annotations

import json
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
    """A byte-level BPE tokenizer; with `eos`, it appends end-of-sequence to a text as T5's does."""
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


def tiny_model(family: str, seed: int = 0, dropout: float = 0.0) -> torch.nn.Module:
    """A random model of a family in float32."""
    torch.manual_seed(seed)
    vocab = len(byte_tokenizer())
    if family in ("t5", "flan-t5"):
        flan = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False} if family == "flan-t5" else {}
        model = T5ForConditionalGeneration(
            T5Config(
                vocab_size=vocab, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, dropout_rate=dropout,
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
            eos_token_id=1, initializer_range=0.2, resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=dropout,
        )  # fmt: skip
        model = GPT2LMHeadModel(config)
    model.get_output_embeddings().weight.data[1] *= 4  # end-of-sequence comes now and then, as in a trained model
    return model.eval()


def save_model(family: str, folder: Path, seed: int = 0) -> Path:
    """Saves a tiny model and its tokenizer in the Hub's form."""
    tiny_model(family, seed).save_pretrained(folder)
    byte_tokenizer(eos="t5" in family).save_pretrained(folder)
    if family == "flan-t5":  # as the Hub has it: transformers 5 writes `true` and would tie the two on loading
        config = json.loads((folder / "config.json").read_text())
        config["tie_word_embeddings"] = False
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def save_sft_adapter(family: str, folder: Path, seed: int = 1) -> Path:
    """A "trained" SFT adapter for the family: random A *and* B, so that it changes the model noticeably."""
    targets = {"llama": ["q_proj", "v_proj"], "gpt2": ["c_attn"]}.get(family, ["q", "v"])
    task = "SEQ_2_SEQ_LM" if "t5" in family else "CAUSAL_LM"
    model = get_peft_model(tiny_model(family), LoraConfig(r=4, lora_alpha=8, target_modules=targets, task_type=task))
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data.normal_(std=0.3)
    model.save_pretrained(folder)
    return folder
