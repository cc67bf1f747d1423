"""Tiny models of every family in the installed transformers, from the family's default config with small sizes."""

from __future__ import annotations

import warnings

import torch
from transformers import AutoConfig, PreTrainedModel
from transformers.models.auto import modeling_auto

VOCABULARY = 50
SIZES = {  # by the names in configs; a config has some of them
    "vocab_size": VOCABULARY, "hidden_size": 16, "d_model": 16, "n_embd": 16, "embed_dim": 16, "dim": 16,
    "embedding_size": 16, "word_embed_proj_dim": 16, "intermediate_size": 32, "d_ff": 32, "ffn_dim": 32, "n_inner": 32,
    "decoder_ffn_dim": 32, "encoder_ffn_dim": 32, "d_inner": 32, "hidden_dim": 32,
    "num_hidden_layers": 2, "num_layers": 2, "n_layer": 2, "n_layers": 2, "encoder_layers": 1, "decoder_layers": 1,
    "num_decoder_layers": 1, "num_encoder_layers": 1,
    "num_attention_heads": 2, "n_head": 2, "n_heads": 2, "num_heads": 2, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "num_encoder_attention_heads": 2, "num_decoder_attention_heads": 2,
    "num_key_value_heads": 2, "head_dim": 8, "d_kv": 8, "rotary_dim": 4, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4,
    "qk_head_dim": 8, "v_head_dim": 8, "q_lora_rank": 8, "kv_lora_rank": 8, "max_position_embeddings": 64,
    "n_positions": 64, "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "num_experts_per_tok": 2,
    "moe_intermediate_size": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
LARGEST = 2_000_000  # parameters; a larger model has a size whose name is not in SIZES

_KINDS = {
    "causal": ("AutoModelForCausalLM", modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES),
    "seq2seq": ("AutoModelForSeq2SeqLM", modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES),
    "classification": (
        "AutoModelForSequenceClassification",
        modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    ),
}


def families(kind: str) -> list[str]:
    """The model types that have a model of the kind "causal", "seq2seq" or "classification"."""
    return sorted(_KINDS[kind][1])


def tiny_family(kind: str, name: str, **sizes: object) -> PreTrainedModel | None:
    """A random model of the family in float32 and eval mode; None if it cannot be built small or cannot run.

    Random numbers are added to every parameter, because many start at 0 or 1, which would hide their effect. `sizes`
    go to the config in addition to `SIZES`.
    """
    auto = getattr(modeling_auto, _KINDS[kind][0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            known = AutoConfig.for_model(name)
            fitting = {k: v for k, v in SIZES.items() if hasattr(known, k) and not isinstance(getattr(known, k), list)}
            config = AutoConfig.for_model(name, **fitting | sizes)
            config.decoder_start_token_id = 2
            with torch.device("meta"):
                if sum(p.numel() for p in auto.from_config(config).parameters()) > LARGEST:
                    return None
            torch.manual_seed(0)
            model = auto.from_config(config).float().eval()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter += 0.1 * torch.randn_like(parameter)
                finite = model(**tiny_inputs(kind, model)).logits.isfinite().all()
            return model if finite else None
        except Exception:  # some configs do not allow small sizes
            return None


def tiny_inputs(kind: str, model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Two rows of random tokens; the last one ends the sequence, as BART's classifier asks for."""
    tokens = torch.randint(3, VOCABULARY, (2, 12), generator=torch.Generator().manual_seed(1))
    tokens[:, -1] = 2
    inputs = {"input_ids": tokens}
    if kind == "seq2seq":
        inputs["decoder_input_ids"] = tokens[:, :5]
    return inputs
