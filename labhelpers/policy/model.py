"""The policy: a language model with a PPO adapter, its frozen reference, and a value head.

    policy    = base model + SFT adapter (merged, frozen) + a fresh LoRA adapter (trained by PPO)
    reference = the same weights with the PPO adapter switched off; no second copy of the model

So KL(policy || reference) is exactly 0 before the first update. The PPO lab hands a PEFT model to its trainer, which
then disables *every* adapter for the reference: that becomes the plain base model, and their KL starts at 25.

Two families share one interface: encoder-decoder (T5; queries are padded on the right) and decoder-only (Llama, GPT-2;
queries are padded on the left, so that every response starts in the same column).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from labhelpers.errors import ModelError
from labhelpers.policy.adapters import as_saved, check_trained, fold_adapters
from labhelpers.policy.fast.low_rank import fused_adapters
from labhelpers.policy.fast.passes import passes, token_bytes
from labhelpers.policy.head import layer_input, output_layer_is_all, own_logits
from labhelpers.policy.logprobs import chosen_logprobs, token_logprobs
from labhelpers.policy.parameters import count_parameters
from labhelpers.policy.positions import positions

VALUE_HEAD_FILE = "value_head.safetensors"


class Policy(nn.Module):
    """A language model that writes (`logits`), estimates returns (`values`) and knows its starting point (`reference`).

    Made by `load_policy` or `make_policy`. `model` is the peft model, `value_head` a Linear(d, 1) on the last (decoder)
    hidden state, zero-initialised, in float32 (float64 for a float64 model) and outside the adapters: peft leaves a
    head in `modules_to_save` active when adapters are disabled, which would corrupt the reference.

    With `sees_prompt` the head sees the prompt as well. For an encoder-decoder it is a Linear(3 d, 1), with the largest
    and the smallest of the encoder's states in each dimension: what matters may be one token of a hundred, which a mean
    would dilute. For a decoder-only model it is a Linear(2 d, 1), with the state of the prompt's last token. The PPO
    lab's head does without.

    Raises ModelError for a model that `save` could not save exactly; see `check_trained`.
    """

    def __init__(self, model: PeftModel, sft: dict[str, Any] | None = None, sees_prompt: bool = False):
        super().__init__()
        check_trained(model)
        self.model = fused_adapters(model)
        self.sft = sft  # the merged SFT adapter's tensors and scaling, needed again when saving
        self.is_encoder_decoder = bool(self.base.config.is_encoder_decoder)
        self.checkpointed: list[nn.Module] = []  # layers whose activations backward computes again
        takes = inspect.signature(self.base.get_decoder().forward).parameters
        self.takes_positions = not self.is_encoder_decoder and "position_ids" in takes
        self.plain_head = output_layer_is_all(self.base)
        hidden_size = self.base.get_output_embeddings().weight.shape[1]
        head_dtype = torch.float64 if self.dtype == torch.float64 else torch.float32
        self.sees_prompt = sees_prompt
        inputs = (1 + sees_prompt * (2 if self.is_encoder_decoder else 1)) * hidden_size
        self.value_head = nn.Linear(inputs, 1, dtype=head_dtype, device=self.device)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        self.token_bytes = token_bytes(self.base)

    @property
    def base(self) -> PreTrainedModel:
        """The transformers model inside the peft model (with the LoRA layers in it)."""
        return self.model.get_base_model()

    @property
    def device(self) -> torch.device:
        return self.base.get_output_embeddings().weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.base.get_output_embeddings().weight.dtype

    @property
    def start_token(self) -> int:
        """The id of the token before an encoder-decoder's response. Raises ModelError if its config has none."""
        for config in (self.base.config, self.base.generation_config):
            if (token := getattr(config, "decoder_start_token_id", None)) is not None:
                return token
        raise ModelError("the model's config.json has no decoder_start_token_id: add the id that responses start with.")

    @property
    def padding_side(self) -> str:
        """The side on which queries are padded: "right" for encoder-decoder, "left" for decoder-only models."""
        return "right" if self.is_encoder_decoder else "left"

    @contextmanager
    def reference(self) -> Iterator[None]:
        """Inside this context the model *is* the reference: only the PPO adapter is off, SFT stays merged."""
        with self.model.disable_adapter():
            yield

    def trainable_parameters(self) -> tuple[int, int]:
        """(trainable, all) parameters, the value head included: the PPO lab's 3,539,713 of 251,117,569."""
        return count_parameters(self)

    def checkpoint_gradients(self) -> None:
        """From now on backward computes each layer's activations again instead of keeping them: long prompts fit into
        less memory, for a third more time (Chen et al. 2016)."""
        self.base.activation_checkpointing_enable({"use_reentrant": False})
        self.checkpointed = [m for m in self.base.modules() if isinstance(m, GradientCheckpointingLayer)]

    # -- one pass over complete responses ------------------------------------------------------------------------

    def encode(self, queries: Int[Tensor, "B Q"], query_mask: Int[Tensor, "B Q"]) -> Float[Tensor, "B Q d"] | None:
        """The encoder's states of the queries, meaningless on padding; None for a decoder-only model.

        On a CPU they are computed for a few rows at a time (see `passes`), so that policy and reference get the same
        numbers for the same queries.
        """
        if not self.is_encoder_decoder:
            return None
        encoder, lengths, states = self.base.get_encoder(), query_mask.sum(-1), None
        for rows in passes(lengths, self.token_bytes, queries.device):
            width = int(lengths[rows].max())
            some = encoder(input_ids=queries[rows, :width], attention_mask=query_mask[rows, :width]).last_hidden_state
            if states is None:
                states = some.new_zeros(*queries.shape, some.shape[-1])
            states[rows, :width] = some
        return states

    def hidden_states(
        self,
        queries: Int[Tensor, "B Q"],
        query_mask: Int[Tensor, "B Q"],
        responses: Int[Tensor, "B T"],
        mask: Int[Tensor, "B T"],
        encoded: Float[Tensor, "B Q d"] | None = None,
    ) -> Float[Tensor, "B T d"]:
        """The hidden states that predict the response tokens.

        Position t has seen the query and the response tokens before t, not token t itself. `encoded` are the queries'
        states, if `encode` was already called.
        """
        # A layer is checkpointed only in training mode. Its parts keep their own mode, for example without dropout.
        for layer in self.checkpointed:
            layer.training = torch.is_grad_enabled()
        if self.is_encoder_decoder:
            if encoded is None:
                encoded = self.base.get_encoder()(input_ids=queries, attention_mask=query_mask).last_hidden_state
            start = torch.full_like(responses[:, :1], self.start_token)
            inputs = torch.cat([start, responses[:, :-1]], 1)
            # No decoder mask is needed: the padding is on the right, and a causal decoder only looks to the left.
            return self.base.get_decoder()(
                input_ids=inputs, encoder_hidden_states=encoded, encoder_attention_mask=query_mask, use_cache=False
            ).last_hidden_state
        tokens = torch.cat([queries, responses[:, :-1]], 1)
        attention = torch.cat([query_mask, mask[:, :-1].to(query_mask)], 1)
        hidden = self.base.get_decoder()(
            input_ids=tokens, attention_mask=attention, use_cache=False, **self.position_ids(attention)
        ).last_hidden_state
        return hidden[:, queries.shape[1] - 1 :]

    def position_ids(self, attention: Int[Tensor, "B L"]) -> dict[str, Int[Tensor, "B L"]]:
        """The argument with the positions of a decoder-only model's tokens; empty if the model does not take it."""
        return {"position_ids": positions(attention)} if self.takes_positions else {}

    def logits(
        self, hidden: Float[Tensor, "*N d"], head: Callable[[Tensor], Tensor] | None = None
    ) -> Float[Tensor, "*N V"]:
        """The vocabulary's logits, in float32 or better: those of the model's own forward pass.

        `head` replaces the output layer, if the model only applies that layer (`plain_head`).
        """
        if self.plain_head:
            logits = (head or self.base.get_output_embeddings())(layer_input(self.base, hidden))
        else:
            logits = own_logits(self.base, hidden)
        return logits if logits.dtype == torch.float64 else logits.float()

    def logprobs_of(self, hidden: Float[Tensor, "*N d"], tokens: Int[Tensor, "*N"]) -> Float[Tensor, "*N"]:
        """The log-probabilities of tokens from the hidden states that predict them, a few hundred logits at a time."""
        if self.plain_head:
            return chosen_logprobs(self.base.get_output_embeddings(), layer_input(self.base, hidden), tokens)
        return token_logprobs(self.logits(hidden), tokens)

    def prompt_states(
        self,
        encoded: Float[Tensor, "B Q d"] | None,
        query_mask: Int[Tensor, "B Q"],
        first: Float[Tensor, "B d"],
    ) -> Float[Tensor, "B p"] | None:
        """What the value head sees of the prompt; None where it does not (`sees_prompt`).

        `first` are the hidden states that predict the first response token: of a decoder-only model, those of the
        prompt's last token.
        """
        if not self.sees_prompt:
            return None
        if encoded is None:
            return first
        padding = query_mask[:, :, None] == 0
        largest, smallest = (
            encoded.masked_fill(padding, -torch.inf).amax(1),
            encoded.masked_fill(padding, torch.inf).amin(1),
        )
        return torch.cat([largest, smallest], -1)

    def value_inputs(
        self, hidden: Float[Tensor, "*N d"], prompts: Float[Tensor, "*N p"] | None = None
    ) -> Float[Tensor, "*N k"]:
        """What the value head reads at each position: its hidden state and, with `sees_prompt`, that of its prompt."""
        inputs = torch.cat([hidden, prompts], -1) if self.sees_prompt else hidden
        return inputs.to(self.value_head.weight.dtype)

    def values(
        self, hidden: Float[Tensor, "*N d"], prompts: Float[Tensor, "*N p"] | None = None
    ) -> Float[Tensor, "*N"]:
        """The value head's estimates of the return from each position on; `prompts` as in `prompt_states`."""
        return self.value_head(self.value_inputs(hidden, prompts)).squeeze(-1)

    def forward(
        self,
        queries: Int[Tensor, "B Q"],
        query_mask: Int[Tensor, "B Q"],
        responses: Int[Tensor, "B T"],
        mask: Int[Tensor, "B T"],
        encoded: Float[Tensor, "B Q d"] | None = None,
    ) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
        """Teacher-forced log-probabilities and values of given responses.

        Both are 0 outside the mask. The vocabulary is computed for response tokens only, a few hundred at a time.
        """
        if encoded is None and self.is_encoder_decoder:
            encoded = self.base.get_encoder()(input_ids=queries, attention_mask=query_mask).last_hidden_state
        hidden = self.hidden_states(queries, query_mask, responses, mask, encoded)
        keep = mask.bool()
        chosen = hidden[keep]
        taken = self.logprobs_of(chosen, responses[keep])
        logprobs = torch.zeros(mask.shape, dtype=taken.dtype, device=taken.device).masked_scatter(keep, taken)
        prompts = self.prompt_states(encoded, query_mask, hidden[:, 0])
        values = self.values(chosen, None if prompts is None else prompts[keep.nonzero()[:, 0]])
        return logprobs, torch.zeros(mask.shape, dtype=values.dtype, device=values.device).masked_scatter(keep, values)

    # -- saving --------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> None:
        """Writes a standard peft adapter *relative to the bare base* (SFT and PPO folded together) and the value head.

        `PeftModel.from_pretrained(bare_base, folder)` gives this policy. The PPO adapter alone would load
        without an error too, but give another policy: it was trained on base + SFT.

        The saved adapter is read again and compared with this policy. Raises ModelError when they differ; do not use
        the files in `folder` then.
        """
        check_trained(self.model)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        fold_adapters(self.model, self.sft, folder)
        self._compare_with_saved(folder)
        head = {name: t.detach().cpu().contiguous() for name, t in self.value_head.state_dict().items()}
        save_file(head, folder / VALUE_HEAD_FILE, metadata={"sees_prompt": str(self.sees_prompt)})

    @torch.no_grad()
    def _compare_with_saved(self, folder: Path) -> None:
        """Raises ModelError when the policy and the base with the saved adapter give different log-probabilities."""
        vocabulary = self.base.get_output_embeddings().weight.shape[0]
        tokens = ((7 * torch.arange(12, device=self.device) + 3) % vocabulary)[None]
        ones = torch.ones_like(tokens)
        arguments = (tokens[:, :8], ones[:, :8], tokens[:, 8:], ones[:, 8:])
        training = self.training
        self.eval()  # with dropout, even two equal policies would differ
        own = self.logits(self.hidden_states(*arguments)).log_softmax(-1)
        with as_saved(self.model, self.sft, folder):
            saved = self.logits(self.hidden_states(*arguments)).log_softmax(-1)
        self.train(training)
        share = {torch.float64: 1e-6, torch.float32: 1e-4}.get(self.dtype, 0.05)
        far = float((saved - own).abs().max())
        if not far <= share * max(1.0, float(own.abs().max())):  # true for NaN too
            raise ModelError(
                f"the adapter that was saved in {folder} is not this policy: log-probabilities differ by up to "
                f"{far:.2g}. The policy in memory is unharmed; were its layers or weights changed by hand?"
            )

    def load_value_head(self, folder: str | Path) -> None:
        """Loads what `save` wrote beside the adapter. Raises ModelError when it is missing or of another width."""
        file = Path(folder) / VALUE_HEAD_FILE
        if not file.is_file():
            raise ModelError(f"{folder} holds no {VALUE_HEAD_FILE}: it was not written by Policy.save.")
        saved, own = load_file(file), self.value_head.state_dict()
        if {name: t.shape for name, t in saved.items()} != {name: t.shape for name, t in own.items()}:
            raise ModelError(
                f"the value head in {folder} does not fit: it holds {_shapes(saved)}, this policy's {_shapes(own)}. It "
                "was saved with another base model (give that model as policy_model), or one of the two sees the "
                "prompt (sees_prompt) and the other does not."
            )
        self.value_head.load_state_dict(saved)


def saved_head_sees_prompt(folder: str | Path) -> bool:
    """Whether the value head that `Policy.save` wrote to `folder` sees the prompt; False where there is none."""
    file = Path(folder) / VALUE_HEAD_FILE
    if not file.is_file():
        return False
    with safe_open(file, "pt") as saved:
        return (saved.metadata() or {}).get("sees_prompt") == str(True)


def _shapes(tensors: dict[str, Tensor]) -> str:
    return ", ".join(f"{name} {tuple(t.shape)}" for name, t in sorted(tensors.items()))
