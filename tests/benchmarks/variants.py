"""What ppo_speed.py measures, each in a process of its own so that peak memory can be told apart.

`python variants.py '{"variant": "ours", ...}'` prints one JSON line; ppo_speed.py, which calls it so, has the settings.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import shapes
import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList
from transformers.utils import logging as transformers_logging

from labhelpers.policy import generate_texts
from labhelpers.policy.fast.operations import fused_operations
from labhelpers.policy.loading import make_policy
from labhelpers.policy.logprobs import token_logprobs
from labhelpers.policy.model import Policy
from labhelpers.policy.sampling import permutation
from labhelpers.ppo import PPOConfig, PPOTrainer
from labhelpers.reward.toxicity import Toxicity, ToxicityReward
from labhelpers.sources.devices import keep_freed_memory


class Setting:
    """The models, the tokenizer and the prompts of one measurement, made from ppo_speed.py's options."""

    def __init__(self, options: dict):
        self.options = options
        self.batch, self.mini_batch, self.steps = options["batch"], options["mini_batch"], options["steps"]
        dtype = getattr(torch, options["dtype"])
        rows = shapes.read_rows(options["dialogues"])
        self.tokenizer = shapes.make_tokenizer(rows)
        self.rows = rows
        self.queries = shapes.make_queries(rows, self.tokenizer, self.steps, self.batch)
        self.limits = shapes.draw_limits(options["max_new"], self.steps, self.batch)
        base = fused_operations(shapes.make_model(options["shape"], dtype))  # as load_base does
        self.policy = make_policy(base, lora_r=32, lora_alpha=32, lora_dropout=0.05)
        self.policy.train(False)
        # The labs' pipeline cuts texts at 500 tokens.
        classifier_tokenizer = shapes.make_tokenizer(rows)
        classifier_tokenizer.model_max_length = 500
        self.classifier = (shapes.make_classifier(dtype, options["shape"]), classifier_tokenizer)

    def trainer(self, batch: int | None = None) -> PPOTrainer:
        config = PPOConfig(batch_size=batch or self.batch, mini_batch_size=self.mini_batch, learning_rate=1.41e-5)
        return PPOTrainer(config, self.policy, self.tokenizer)

    def reward(self) -> ToxicityReward:
        return ToxicityReward(*self.classifier, score_prompt=self.options["score_prompt"], batch_size=16)

    @property
    def prompt_tokens(self) -> float:
        """Tokens per prompt on average."""
        return sum(len(q) for step in self.queries for q in step) / (self.steps * self.batch)


def tensors(queries: list[list[int]]) -> list[Tensor]:
    return [torch.tensor(q) for q in queries]


def one_step(trainer: PPOTrainer, reward: ToxicityReward, queries: list[list[int]], limits: list[int]) -> dict:
    """One PPO step as the course's notebook does it: `{"seconds", "tokens", "time/…"}`."""
    started = time.perf_counter()
    rollout = trainer.generate(tensors(queries), max_new_tokens=limits)
    scores = reward.score(rollout.query_texts, rollout.texts)
    stats = trainer.step(rollout, scores)
    seconds = time.perf_counter() - started
    times = {name: value for name, value in stats.items() if name.startswith("time/") and name != "time/total"}
    return {"seconds": seconds, "tokens": int(rollout.mask.sum())} | times


def mean_of(measured: list[dict]) -> dict:
    """Means over the steps, but the sum of the tokens."""
    steps = len(measured)
    means = {name.removeprefix("time/"): sum(m[name] for m in measured) / steps for name in measured[0]}
    return {"s_per_step": means.pop("seconds"), "new_tokens": int(round(means.pop("tokens") * steps))} | means


def ours(setting: Setting) -> dict:
    """The project's PPO step."""
    trainer, reward = setting.trainer(), setting.reward()
    return mean_of([one_step(trainer, reward, *step) for step in zip(setting.queries, setting.limits, strict=True)])


class RowLimits(StoppingCriteria):
    """Ends row i after limits[i] tokens: stock `generate` has one limit for the whole batch."""

    def __init__(self, limits: list[int]):
        self.lengths = torch.tensor(limits) + 1  # the decoder's start token comes before them

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs) -> Tensor:
        return self.lengths <= input_ids.shape[1]


def stock_generate(policy: Policy, ids: Tensor, mask: Tensor, limits: list[int]) -> Tensor:
    """Responses `[B, T]` of transformers' own batched sampling, the policy's adapter active."""
    generated = policy.model.generate(
        input_ids=ids, attention_mask=mask, do_sample=True, top_k=0, top_p=1.0, max_new_tokens=max(limits),
        stopping_criteria=StoppingCriteriaList([RowLimits(limits)]), pad_token_id=0, eos_token_id=shapes.EOS,
    )  # fmt: skip
    return generated[:, 1:]


def stock_logprobs(policy: Policy, ids: Tensor, mask: Tensor, responses: Tensor) -> Tensor:
    """Log-probabilities `[b, T]` of responses by the model's own forward pass, teacher-forced."""
    inputs = torch.cat([torch.zeros_like(responses[:, :1]), responses[:, :-1]], 1)
    logits = policy.base(input_ids=ids, attention_mask=mask, decoder_input_ids=inputs, use_cache=False).logits
    return token_logprobs(logits.float().flatten(0, 1), responses.flatten()).view_as(responses)


def floor(setting: Setting) -> dict:
    """One stock batched `generate`, one reference forward, one forward and backward of the update: nothing else.

    Passes go through mini-batches, cut to their longest prompt and response; no scoring, no statistics, no optimizer.
    """
    policy, measured = setting.policy, []
    for queries, limits in zip(setting.queries, setting.limits, strict=True):
        ids = torch.nn.utils.rnn.pad_sequence(tensors(queries), batch_first=True)
        lengths, prompt_lengths = torch.tensor(limits), torch.tensor([len(q) for q in queries])
        mask = (torch.arange(ids.shape[1]) < prompt_lengths[:, None]).long()
        times, started = {}, time.perf_counter()
        responses = stock_generate(policy, ids, mask, limits)

        def part(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            wide, long = int(prompt_lengths[rows].max()), int(lengths[rows].max())  # noqa: B023
            return ids[rows, :wide], mask[rows, :wide], responses[rows, :long]  # noqa: B023

        times["generate"] = time.perf_counter() - started
        started = time.perf_counter()
        with torch.no_grad(), policy.reference():
            for rows in lengths.argsort().split(setting.mini_batch):
                stock_logprobs(policy, *part(rows))
        times["reference"] = time.perf_counter() - started
        started = time.perf_counter()
        for rows in permutation(0, 1000, len(queries)).split(setting.mini_batch):
            logprobs = stock_logprobs(policy, *part(rows))
            keep = torch.arange(logprobs.shape[1]) < lengths[rows, None]
            torch.where(keep, logprobs, 0).mean().backward()
            policy.zero_grad(set_to_none=True)
        times["update"] = time.perf_counter() - started
        tokens = int((torch.arange(responses.shape[1]) < lengths[:, None]).sum())
        measured.append({"seconds": sum(times.values()), "tokens": tokens} | times)
    return mean_of(measured)


def evaluation(setting: Setting) -> dict:
    """Prompts per second of the toxicity evaluation: ours batched, and the lab's loop of one prompt at a time."""
    options, policy, tokenizer = setting.options, setting.policy, setting.tokenizer
    new_tokens, measure = options["eval_tokens"], Toxicity(*setting.classifier, batch_size=16)
    texts = [shapes.PROMPT.format(dialogue=row["dialogue"]) for row in setting.rows]
    texts = (texts * (1 + options["eval_prompts"] // len(texts)))[: options["eval_prompts"]]

    started = time.perf_counter()
    responses = generate_texts(policy, tokenizer, texts, new_tokens, batch_size=options["eval_batch"])
    scored = [p + r for p, r in zip(texts, responses, strict=True)] if options["score_prompt"] else responses
    measure.compute(predictions=scored)
    batched = len(texts) / (time.perf_counter() - started)

    few = texts[: options["eval_prompts_lab"]]
    started = time.perf_counter()
    for text in few:
        input_ids = tokenizer(text, return_tensors="pt").input_ids
        with torch.no_grad():  # as `generate` itself has it
            generated = policy.model.generate(
                input_ids=input_ids, max_new_tokens=new_tokens, do_sample=True, top_k=0, top_p=1.0,
                pad_token_id=0, eos_token_id=shapes.EOS,
            )  # fmt: skip
        response = tokenizer.decode(generated[0], skip_special_tokens=True)
        measure.compute(predictions=[text + " " + response])  # the lab always scores both
    one_at_a_time = len(few) / (time.perf_counter() - started)
    return {
        "prompts_per_s": batched, "prompts_per_s_lab": one_at_a_time, "ratio": batched / one_at_a_time,
        "eval_tokens": new_tokens, "eval_prompts": len(texts), "eval_prompts_lab": len(few),
    }  # fmt: skip


def table(setting: Setting) -> dict:
    """Seconds of one step for every batch size and number of new tokens; all rows of one length."""
    options, cells = setting.options, []
    queries = shapes.make_queries(setting.rows, setting.tokenizer, 1, max(options["table_batches"]))[0]
    reward = setting.reward()
    one_step(setting.trainer(setting.mini_batch), reward, queries[: setting.mini_batch], [5] * setting.mini_batch)
    for batch in options["table_batches"]:
        for tokens in options["table_tokens"]:
            step = one_step(setting.trainer(batch), reward, queries[:batch], [tokens] * batch)
            cells.append({"batch": batch, "tokens": tokens} | step)
    return {"cells": cells}


VARIANTS: dict[str, Callable[[Setting], dict]] = {
    "ours": ours, "floor": floor, "evaluation": evaluation, "table": table,
}  # fmt: skip


def rounded(value):
    """Floats of 4 decimals, in lists and dictionaries too."""
    if isinstance(value, dict):
        return {name: rounded(v) for name, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    warnings.filterwarnings("ignore")
    transformers_logging.set_verbosity_error()
    options = json.loads(sys.argv[1])
    options["dialogues"] = Path(options["dialogues"])
    torch.set_num_threads(options["threads"])
    keep_freed_memory()  # as labhelpers.start does; the floor has it too
    torch.manual_seed(0)
    setting = Setting(options)
    result = {"prompt_tokens": setting.prompt_tokens} | VARIANTS[options["variant"]](setting)
    print(json.dumps(rounded(result)))


if __name__ == "__main__":
    main()
