"""`labs doctor --profile full`: how much memory and time a full-size PPO step needs here, and what is missing.

Memory and time are estimated from the model's shape, which is counted without loading the model, and from one second of
matrix products on this machine. docs/full_size.md explains the formulas. They are rough: they distinguish minutes from
hours, and 4 GB from 40 GB.
"""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    T5Config,
)

from labhelpers.course.profiles import Profile
from labhelpers.errors import DataError, ModelError
from labhelpers.machine.doctor import Finding
from labhelpers.machine.download import cache_folder, existing, megabytes, packages_wanted, wanted
from labhelpers.policy.fast.passes import feed_forward_width, passes
from labhelpers.policy.head import UNUSABLE
from labhelpers.policy.loading import default_targets
from labhelpers.sources.devices import resolve_device, resolve_dtype
from labhelpers.sources.dialogues import TEST_SHARE, load_dialogues
from labhelpers.sources.hub import cached_folder, hub_id
from labhelpers.sources.packaged import has_package, is_package, package_folder

# The shapes of published models, for an estimate before they are downloaded.
_FLAN_T5 = {
    "vocab_size": 32128, "d_kv": 64, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
    "decoder_start_token_id": 0,
}  # fmt: skip
_PUBLISHED = {
    "google/flan-t5-small": {"d_model": 512, "d_ff": 1024, "num_layers": 8, "num_heads": 6},
    "google/flan-t5-base": {"d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12},
    "google/flan-t5-large": {"d_model": 1024, "d_ff": 2816, "num_layers": 24, "num_heads": 16},
    "google/flan-t5-xl": {"d_model": 2048, "d_ff": 5120, "num_layers": 24, "num_heads": 32},
}
# What the PPO lab prints, for FLAN-T5-base with LoRA of rank 32 and for DialogSum's train split.
LABS_PARAMETERS = "3,539,713 of 251,117,569"
LABS_ROWS = "12,460 dialogues, 10,022 kept, 8,017 and 2,005 in its parts"
_ROBERTA_BASE = 124_647_170, 85_646_594  # parameters with a head of two classes, and those without the embeddings
_CHARS_PER_TOKEN = 3.5  # in English dialogues, a low estimate
_INSTRUCTION_TOKENS = 15
_RUNTIME = {"cpu": 0.75e9, "cuda": 0.6e9, "mps": 0.6e9}  # bytes for the libraries, or for the GPU's context
_LAYER_SECONDS = 5e-4  # to call one decoder layer for one token, even with small matrices
_RESULTS_DISK = 1e9  # bytes of a run's adapters, checkpoints, figures and executed notebooks


@dataclass(frozen=True)
class Shape:
    """Sizes of a language model, which its memory and time depend on.

    `parameters` counts all of them, `reading` those that process a query token, `writing` those that process a response
    token, and `adapter` those of the LoRA adapter. The other fields are numbers and widths of layers.
    """

    parameters: int
    reading: int
    writing: int
    adapter: int
    layers: tuple[int, int]  # encoder (0 for a decoder-only model), decoder
    width: int
    attention_width: int
    cached_width: int  # of the keys of one layer, and of its values
    feed_forward: int
    vocabulary: int
    classifier: int  # parameters of the classifier that gives the reward
    classifying: int  # those of them that process a token

    @property
    def encoder_decoder(self) -> bool:
        return self.layers[0] > 0


@dataclass(frozen=True)
class Speed:
    """Floating-point operations per second, for large matrices and for a batch of single tokens (as in generation)."""

    large: float
    tokens: float


def examine_full(settings: Profile) -> list[Finding]:
    """The findings for a full-size run: device, precision, cache, disk, memory, seconds per PPO step.

    The PPO lab's numbers of parameters and dialogues stand beside those of this profile.
    """
    device = resolve_device(settings.device)
    findings = [Finding("device", _device_name(device), True), *_in_cache(settings), *_rows(settings)]
    try:
        config = policy_config(settings.policy_model)
    except ModelError as error:
        return [*findings, Finding("policy_model", str(error), False)]
    missing = _download_size(settings)
    free = shutil.disk_usage(existing(cache_folder())).free
    needed = missing + _RESULTS_DISK
    findings.append(
        Finding("free disk for it", f"{megabytes(free)} ({megabytes(needed)} needed with downloads)", free >= needed)
    )
    if config is None:
        return [*findings, Finding("PPO step", f"no estimate before {settings.policy_model} is here", True)]
    dtype = resolve_dtype(settings.dtype)
    as_stored = " (as the checkpoint is stored)" if dtype == "auto" else ""
    dtype = (config.dtype or torch.float32) if dtype == "auto" else dtype
    what = f"{str(dtype).removeprefix('torch.')}{as_stored}; value head and losses in float32"
    findings.append(Finding("precision", what, True))
    try:
        shape = shape_of(config, settings.lora_r, settings.toxicity_model)
    except ModelError as error:
        return [*findings, Finding("policy_model", str(error), False)]
    head = shape.width + 1
    findings.append(
        Finding(
            "trained parameters",
            f"{shape.adapter + head:,} of {shape.parameters + shape.adapter + head:,}; "
            f"in the PPO lab {LABS_PARAMETERS}",
            True,
        )
    )
    memory = step_memory(shape, settings, dtype, device)
    notebook = memory + (3 * shape.parameters + shape.classifier) * dtype.itemsize
    free = free_memory(device)
    findings.append(
        Finding(
            "memory for PPO",
            f"about {memory / 1e9:.1f} GB by labhelpers.train_ppo, {notebook / 1e9:.1f} GB in notebook 04, which keeps "
            f"more models at a time; free: {free / 1e9:.1f} GB",
            free >= notebook,
        )
    )
    seconds = step_seconds(shape, settings, measure_speed(device, dtype, settings.batch_size))
    findings.append(
        Finding(
            "PPO step",
            f"about {seconds:.0f} s if all {settings.batch_size} responses have {settings.max_new_tokens} tokens; "
            f"{settings.ppo_steps} steps a policy (an estimate: within a factor of two)",
            True,
        )
    )
    return findings


def policy_config(location: str) -> PretrainedConfig | None:
    """The config of a policy that is here, in the cache or published in a known shape; None for any other.

    Raises ModelError for a config.json that cannot be read.
    """
    identity = hub_id(location)
    if is_package(location):
        folder = str(package_folder(location))
    else:
        folder = cached_folder(location) if identity else location
    if folder and (Path(folder) / "config.json").is_file():
        try:
            return AutoConfig.from_pretrained(folder)
        except (OSError, ValueError, TypeError, StrictDataclassError) as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"config.json of {str(location)!r} is no model's that is known here: {reason}") from error
    shape = _PUBLISHED.get(identity[0]) if identity else None
    return T5Config(**_FLAN_T5, **shape) if shape else None


def shape_of(config: PretrainedConfig, lora_r: int, classifier: str = "") -> Shape:
    """Counts a model, and the classifier that gives the reward, on the meta device, where they take no memory.

    A classifier that is not here counts as RoBERTa-base. Raises ModelError for a model that is no language model of
    either family, or has no attention layers that an adapter is put on by default.
    """
    encoder_decoder = config.is_encoder_decoder
    try:
        with torch.device("meta"):
            model = (AutoModelForSeq2SeqLM if encoder_decoder else AutoModelForCausalLM).from_config(config)
        targets = default_targets(model)
        decoder = model.get_decoder()
        reader = model.get_encoder() if encoder_decoder else decoder
        head, embedding = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    except UNUSABLE as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"a model of type {config.model_type!r} cannot be a policy here: {error}") from error
    tied = head is embedding
    # FLAN-T5 has an output layer of its own, whatever transformers 5 makes of its config.
    untied = encoder_decoder and config.model_type == "t5" and config.is_gated_act
    parameters = sum(p.numel() for p in model.parameters()) + (head.numel() if tied and untied else 0)
    reading, writing = (sum(p.numel() for p in part.parameters() if p is not embedding) for part in (reader, decoder))
    adapted = (module for name, module in model.named_modules() if name.rsplit(".", 1)[-1] in targets)
    text = config.get_text_config(decoder=True)
    width = head.shape[1]
    judging, layers_of_judge = _classifier_size(classifier)
    heads = getattr(text, "num_heads", None) or getattr(text, "num_attention_heads", None) or 1
    size = getattr(text, "d_kv", None) or getattr(text, "head_dim", None) or width // heads
    return Shape(
        parameters=parameters,
        reading=reading,
        writing=writing + head.numel(),
        adapter=sum(lora_r * sum(p.shape) for module in adapted for p in module.parameters() if p.dim() == 2),
        layers=(_layers(reader) if encoder_decoder else 0, _layers(decoder)),
        width=width,
        attention_width=heads * size,
        cached_width=(getattr(text, "num_key_value_heads", None) or heads) * size,
        feed_forward=feed_forward_width(text),
        vocabulary=head.shape[0],
        classifier=judging,
        classifying=layers_of_judge,
    )


def _classifier_size(location: str) -> tuple[int, int]:
    """The parameters of a classifier, and those without its embeddings; RoBERTa-base's for one that is not here."""
    config = policy_config(location) if location else None
    if config is None:
        return _ROBERTA_BASE
    try:
        with torch.device("meta"):
            model = AutoModelForSequenceClassification.from_config(config)
    except UNUSABLE as error:
        raise ModelError(f"{location!r} cannot be a classifier here: {error}") from error
    embeddings = sum(p.numel() for part in model.modules() if isinstance(part, nn.Embedding) for p in part.parameters())
    parameters = sum(p.numel() for p in model.parameters())
    return parameters, parameters - embeddings


def _layers(part: nn.Module) -> int:
    """How many layers an encoder or a decoder has: they are its outermost list."""
    return next((len(module) for module in part.modules() if isinstance(module, nn.ModuleList)), 1)


def step_memory(shape: Shape, settings: Profile, dtype: torch.dtype, device: str = "cpu") -> float:
    """The most bytes of memory that a process of `train_ppo` needs.

    These are the models, the adapter, and the larger need of two phases: generation (rollouts, and the larger batches
    of the evaluation) and the update.
    """
    size = dtype.itemsize
    query, response = _tokens(settings)
    models = (shape.parameters + shape.classifier) * size
    adapter = shape.adapter * 4 * 4  # float32 weights, gradients and Adam's two moments
    # Generation: keys and values of every layer with room to grow, and logits with their copies.
    written = max(settings.batch_size, settings.eval_batch_size)
    cached = (response + 64 + query) * written
    generation = cached * 2 * shape.cached_width * shape.layers[1] * size
    generation += written * shape.vocabulary * 4 * 6
    # The update: what backward needs from every layer and token of one pass (frozen weights need little).
    lengths = torch.full((min(settings.mini_batch_size, settings.batch_size),), round(query + response))
    widest = 2 * shape.feed_forward * size
    rows = max(map(len, passes(lengths, widest, torch.device(device), caches=1)))
    own = 3 * shape.width + 4 * shape.attention_width + 6 * shape.feed_forward
    if shape.encoder_decoder:
        reading = shape.layers[0] * own + shape.layers[1] * 2 * shape.attention_width
        writing = shape.layers[1] * (own + 2 * shape.width + 2 * shape.attention_width)
        floats = query * reading + response * writing
    else:
        floats = (query + response) * shape.layers[1] * own
    update = rows * floats * size + 256 * shape.vocabulary * 4 * 3
    return _RUNTIME.get(device, _RUNTIME["cuda"]) + models + adapter + max(generation, update)


def step_seconds(shape: Shape, settings: Profile, speed: Speed) -> float:
    """Seconds of one PPO step, if every response has `max_new_tokens` tokens.

    A forward pass takes 2 operations per parameter and token, a backward pass as many (frozen weights need no
    gradient).
    """
    query, response = _tokens(settings)
    batch = settings.batch_size
    forward = 2.0 * batch * (query * shape.reading + response * shape.writing)
    calls = response * shape.layers[1] * _LAYER_SECONDS
    generation = 2.0 * batch * (query * shape.reading / speed.large + response * shape.writing / speed.tokens) + calls
    score = 2.0 * batch * response * shape.classifying / speed.large
    old_and_reference = 2 * forward / speed.large
    update = settings.ppo_epochs * 2 * forward / speed.large
    return generation + score + old_and_reference + update


def measure_speed(device: str, dtype: torch.dtype, batch_size: int, seconds: float = 1.0) -> Speed:
    """Measures matrix products for about `seconds`: large ones, and a batch of tokens times uncached weights."""
    large = torch.randn(512, 1024, device=device).to(dtype), torch.randn(1024, 4096, device=device).to(dtype)
    tokens = torch.randn(batch_size, 2048, device=device).to(dtype)
    weights = [torch.randn(2048, 4096, device=device).to(dtype) for _ in range(8)]

    def rate(work, operations: int) -> float:
        work()
        _wait(device)
        began, rounds = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - began) < seconds / 2:
            work()
            _wait(device)
            rounds += 1
        return rounds * operations / elapsed

    return Speed(
        large=rate(lambda: large[0] @ large[1], 2 * 512 * 1024 * 4096),
        tokens=rate(lambda: [tokens @ weight for weight in weights], 2 * batch_size * 2048 * 4096 * len(weights)),
    )


def free_memory(device: str) -> int:
    """Free bytes of memory, of the GPU or of the machine."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    import psutil

    return psutil.virtual_memory().available


def _tokens(settings: Profile) -> tuple[float, int]:
    """Estimated tokens of the longest query, and the tokens of the longest response."""
    return settings.max_chars / _CHARS_PER_TOKEN + _INSTRUCTION_TOKENS, settings.max_new_tokens


def _in_cache(settings: Profile) -> list[Finding]:
    findings = []
    for repository in wanted(settings):
        folder = cached_folder(repository.location, repository.kind)
        found = "in the cache" if folder else f"not in the cache: `labs download --profile {settings.name}` fetches it"
        findings.append(Finding(str(repository), found, folder is not None))
    for location in packages_wanted(settings):
        here = has_package(location)
        found = "unpacked" if here else f"not here: `labs download --profile {settings.name}` fetches it"
        findings.append(Finding(location, found, here))
    return findings


def _rows(settings: Profile) -> list[Finding]:
    """The number of dialogues, counted as in the PPO lab; no finding before they are downloaded."""
    if hub_id(settings.dialogues) and not cached_folder(settings.dialogues, "dataset"):
        return []
    try:
        rows = len(load_dialogues(settings.dialogues, "train"))
        limits = {"min_chars": settings.min_chars, "max_chars": settings.max_chars}
        kept = len(load_dialogues(settings.dialogues, "train", **limits))
    except DataError as error:
        return [Finding("dialogues", str(error), False)]
    held_out = math.ceil(TEST_SHARE * kept)
    found = f"{rows:,} dialogues, {kept:,} kept, {kept - held_out:,} and {held_out:,} in its parts"
    return [Finding("dialogues", f"{found}; in the PPO lab {LABS_ROWS}", True)]


def _download_size(settings: Profile) -> float:
    """Bytes that are not in the cache yet, by published sizes (float32). An unknown model counts as FLAN-T5-base."""
    size = 0.0
    for repository in wanted(settings):
        if cached_folder(repository.location, repository.kind):
            continue
        config = policy_config(repository.location) if "policy_model" in repository.fields else None
        if repository.kind == "dataset":
            size += 20e6
        elif config is not None:
            size += 4 * shape_of(config, 1).parameters
        else:
            size += 4 * _ROBERTA_BASE[0]
    return size


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        count = torch.cuda.device_count()
        memory = torch.cuda.get_device_properties(0).total_memory
        return f"{count} x {torch.cuda.get_device_name(0)}, {memory / 1e9:.0f} GB each"
    return "Apple's GPU (MPS)" if device == "mps" else f"CPU, {torch.get_num_threads()} threads; no GPU was found"


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()
