"""The PPO loop's trainer: `generate` -> (your reward) -> `step`, with the names the labs use.

for batch in itertools.islice(trainer.dataloader, ppo_steps):
    rollout = trainer.generate(batch["query"], max_new_tokens=48)
    scores = reward.score(batch["query"], rollout.texts)
    stats = trainer.step(rollout, scores)
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from datasets import Dataset
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from labhelpers.errors import TrainingError
from labhelpers.policy.fast.passes import passes
from labhelpers.policy.model import Policy
from labhelpers.policy.rollout import Rollout, generate
from labhelpers.policy.sampling import permutation
from labhelpers.ppo import checkpoint as state
from labhelpers.ppo.batches import Batches
from labhelpers.ppo.config import PPOConfig
from labhelpers.ppo.loss import AdaptiveKLController, FixedKLController, gae, masked_mean, ppo_losses, token_rewards
from labhelpers.ppo.processes import Processes
from labhelpers.ppo.statistics import rollout_statistics

logger = logging.getLogger(__name__)


class PPOTrainer:
    """Trains a policy with PPO. See the module's docstring for the loop, `PPOConfig` for the settings."""

    def __init__(
        self,
        config: PPOConfig,
        policy: Policy,
        tokenizer: PreTrainedTokenizerBase,
        dataset: Dataset | None = None,
        accelerator: Accelerator | None = None,
    ):
        if tokenizer.eos_token_id is None:
            raise TrainingError("the tokenizer has no end-of-sequence token: no response could ever end.")
        self.config, self.policy, self.tokenizer = config, policy, tokenizer
        self.processes = Processes(accelerator)
        self.dataloader = None if dataset is None else Batches(self, dataset)
        head = list(policy.value_head.parameters())
        adapter = [p for p in policy.model.parameters() if p.requires_grad]
        self.parameters = adapter + head
        self.optimizer = torch.optim.Adam(
            [
                {"params": adapter, "base_lr": config.learning_rate},
                {"params": head, "base_lr": config.value_learning_rate or config.learning_rate},
            ],
            lr=config.learning_rate,
        )
        self.kl_controller = (
            AdaptiveKLController(config.kl_coef, config.target, config.horizon)
            if config.adaptive_kl
            else FixedKLController(config.kl_coef)
        )
        self.steps_done = 0
        self.history: list[dict[str, float]] = []
        self._score_moments = [0, 0.0, 0.0]  # count, mean, sum of squared deviations
        self._clock = {"generate": 0.0, "generated_at": None}

    # -- 1. rollout ----------------------------------------------------------------------------------------------

    def generate(
        self,
        queries: Sequence[str] | Sequence[Tensor],
        max_new_tokens: int | Sequence[int] = 64,
        **sampling: Any,
    ) -> Rollout:
        """Samples one response per query from the policy; see `labhelpers.policy.rollout.generate`."""
        started = time.perf_counter()
        rows = [self.processes.share(self.config.batch_size).start + i for i in range(len(queries))]
        options = {"seed": self.config.seed, "step": self.steps_done, "rows": rows} | sampling
        rollout = generate(self.policy, self.tokenizer, queries, max_new_tokens, **options)
        self._clock = {"generate": time.perf_counter() - started, "generated_at": time.perf_counter()}
        return rollout

    # -- 2. step -------------------------------------------------------------------------------------------------

    def step(self, rollout: Rollout, scores: Float[Tensor, " B"] | Sequence[float]) -> dict[str, float]:
        """One PPO step on a scored rollout; returns its statistics. Nothing changes if the input is unusable.

        Old log-probabilities are the rollout's own in float64. In lower precisions a token-by-token pass and a full
        pass differ (by 1e-6 in float32, 1e-2 in bfloat16), and KL before the first update would not be 0: they are
        recomputed by the kind of pass that the reference gets.
        """
        started = time.perf_counter()
        scored = self._clock["generated_at"]
        times = {"generate": self._clock["generate"], "score": started - scored if scored else 0.0}
        raw = self._checked_scores(rollout, scores)

        # 2a. How likely the responses are under the reference, and (where needed) under the policy.
        old_logprobs, old_values, ref_logprobs = self._old_and_reference(rollout)
        times["reference"] = time.perf_counter() - started
        started = time.perf_counter()

        # 2b. Token rewards, advantages and returns, over the whole batch (of all processes).
        shared = [rollout.mask, old_logprobs, ref_logprobs, old_values, raw, rollout.finished]
        mask, old_logprobs, ref_logprobs, old_values, raw, finished = map(self.processes.gather, shared)
        scores = self._adjusted_scores(raw, finished).to(old_logprobs)
        kl_coef = self.kl_controller.value
        rewards, kl = token_rewards(scores, old_logprobs, ref_logprobs, mask, kl_coef, self.config.kl_penalty)
        advantages, returns = gae(
            old_values, rewards, mask, self.config.gamma, self.config.lam, self.config.whiten_rewards
        )

        # 2c. Several epochs of clipped updates on the same rollout.
        batch = {"old_logprobs": old_logprobs, "old_values": old_values, "advantages": advantages, "returns": returns}
        updates = self._update(rollout, batch, mask)
        times["update"] = time.perf_counter() - started

        # 2d. Statistics, the KL controller, the step counter.
        stats = rollout_statistics(mask, old_logprobs, ref_logprobs, old_values, returns, advantages, kl, finished)
        stats |= {
            "objective/kl_coef": kl_coef,
            "ppo/mean_scores": float(raw.mean()),
            "ppo/std_scores": float(raw.std(correction=0)),
        }
        stats |= updates | {f"time/{name}": seconds for name, seconds in times.items()}
        stats["time/total"] = sum(times.values())
        self.kl_controller.update(stats["objective/kl"], len(mask))
        self.steps_done += 1
        self._clock = {"generate": 0.0, "generated_at": None}
        return stats

    def _checked_scores(self, rollout: Rollout, scores: Float[Tensor, " B"] | Sequence[float]) -> Float[Tensor, " B"]:
        rollout.check()
        scores = torch.as_tensor(scores, dtype=torch.float64).to(rollout.mask.device)
        expected = len(self.processes.share(self.config.batch_size))
        if len(rollout) != expected:
            raise TrainingError(f"the rollout has {len(rollout)} responses, this process's batch is {expected}.")
        if scores.shape != (len(rollout),):
            raise TrainingError(
                f"{len(rollout)} responses need {len(rollout)} scores, got shape {tuple(scores.shape)}."
            )
        if not bool(scores.isfinite().all()):
            bad = (~scores.isfinite()).nonzero().flatten().tolist()
            raise TrainingError(f"the reward of response {bad[0]} is {scores[bad[0]].item()}: not a finite number.")
        return scores

    def _adjusted_scores(self, scores: Float[Tensor, " B"], finished: Bool[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Scaling by running moments (Chan et al. 1979's update), clipping, and the penalty for not ending."""
        config = self.config
        if config.scale_scores or config.center_scores:
            count, mean, squares = self._score_moments
            n, batch_mean = len(scores), float(scores.mean())
            delta, total = batch_mean - mean, count + n
            squares += float((scores - batch_mean).square().sum()) + delta**2 * count * n / total
            self._score_moments = [total, mean + delta * n / total, squares]
            if config.center_scores:
                scores = scores - self._score_moments[1]
            if config.scale_scores:
                scores = scores / max((squares / max(total - 1, 1)) ** 0.5, 1e-8)
        if config.score_clip is not None:
            scores = scores.clamp(-config.score_clip, config.score_clip)
        if config.missing_eos_penalty is not None:
            scores = torch.where(finished, scores, scores - config.missing_eos_penalty)
        return scores

    @torch.no_grad()
    def _old_and_reference(
        self, rollout: Rollout
    ) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"], Float[Tensor, "B T"]]:
        """(old log-probabilities, old values, reference log-probabilities)."""
        self.policy.eval()
        keep = self.config.keep_logprobs
        keep = self.policy.dtype == torch.float64 if keep is None else keep
        with self.policy.reference():
            reference, _ = self._evaluated(rollout, self.policy.encode(rollout.queries, rollout.query_mask))
        if keep:
            return rollout.logprobs, rollout.values, reference
        encoded, rollout.encoded = rollout.encoded, None  # after the update it would be another policy's
        if encoded is None:
            encoded = self.policy.encode(rollout.queries, rollout.query_mask)
        return *self._evaluated(rollout, encoded), reference

    def _evaluated(
        self, rollout: Rollout, encoded: Float[Tensor, "B Q d"] | None
    ) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
        """Log-probabilities and values under the model as it is set, given its encoder's states."""
        rollout = replace(rollout, encoded=encoded)
        logprobs, values = torch.zeros_like(rollout.logprobs), torch.zeros_like(rollout.values)
        everything = torch.arange(len(rollout), device=rollout.mask.device)
        for rows in self._passes(rollout, everything, self.config.forward_batch_size):
            part = rollout.rows(rows)
            found = self.policy(part.queries, part.query_mask, part.responses, part.mask, part.encoded)
            width = part.mask.shape[1]
            logprobs[rows, :width], values[rows, :width] = found[0], found[1].to(values)
        return logprobs, values

    def _passes(
        self, rollout: Rollout, rows: Int[Tensor, " b"], at_most: int | None, caches: int = 2
    ) -> Iterator[Int[Tensor, " p"]]:
        """Which of these rows go through the model together; see `passes`."""
        most = at_most or self.config.micro_batch_size or self.config.mini_batch_size
        lengths = rollout.total_lengths[rows]
        for places in passes(lengths, self.policy.token_bytes, lengths.device, most, caches):
            yield rows[places]

    def _update(
        self, rollout: Rollout, batch: dict[str, Float[Tensor, "B T"]], mask: Int[Tensor, "B T"]
    ) -> dict[str, float]:
        """The optimizer updates of one step. `batch` and `mask` cover all processes, `rollout` this one's rows."""
        config = self.config
        own = self.processes.share(len(mask))
        self._set_learning_rates()
        self.policy.train(config.dropout)
        sums: dict[str, float] = {}
        done = skipped = 0
        stopped = False
        for epoch in range(config.ppo_epochs):
            order = permutation(config.seed, (self.steps_done + 1) * 1000 + epoch, len(mask))
            for rows in order.to(mask.device).split(config.mini_batch_size):
                stats = self._mini_batch(rollout, batch, mask, rows, own)
                if config.target_kl is not None and stats["policy/approxkl"] > config.target_kl:
                    stopped = True
                    break
                healthy = all(map(_finite, stats.values())) and self._gradients_finite()
                if not healthy or stats["policy/ratio"] > config.ratio_threshold:
                    skipped += 1
                    logger.warning(
                        "PPO step %d: update skipped, loss %.3g, mean ratio %.3g, largest %.3g.",
                        self.steps_done, stats["loss/total"], stats["policy/ratio"], stats["policy/ratio_max"],
                    )  # fmt: skip
                    continue
                if config.max_grad_norm is not None:
                    torch.nn.utils.clip_grad_norm_(self.parameters, config.max_grad_norm)
                self.optimizer.step()
                done += 1
                for name, value in stats.items():
                    sums[name] = sums.get(name, 0.0) + value
            if stopped:
                break
        self.optimizer.zero_grad(set_to_none=True)
        self.policy.eval()
        means = {f"ppo/{name}": value / done for name, value in sums.items()}
        return means | {
            "ppo/updates": done,
            "ppo/skipped_updates": skipped,
            "ppo/early_stopped": int(stopped),
            "ppo/learning_rate": self.optimizer.param_groups[0]["lr"],
        }

    def _mini_batch(
        self,
        rollout: Rollout,
        batch: dict[str, Float[Tensor, "B T"]],
        mask: Int[Tensor, "B T"],
        rows: Int[Tensor, " b"],
        own: range,
    ) -> dict[str, float]:
        """Gradients and statistics of one mini-batch: its micro-batches' losses, normalised by all of its tokens."""
        config = self.config
        self.optimizer.zero_grad(set_to_none=True)
        n_tokens = mask[rows].sum()
        mine = rows[(rows >= own.start) & (rows < own.stop)]
        names = list(_MINI_BATCH_STATS)
        sums = torch.zeros(len(names) + 1, dtype=torch.float64)
        largest = torch.zeros(1, dtype=torch.float64)
        # Backward has as much again to read and write as forward: one cache is for that.
        for micro in self._passes(rollout, mine - own.start, config.micro_batch_size, caches=1):
            part = rollout.rows(micro)
            micro = micro + own.start
            width = part.mask.shape[1]
            old = {name: tensor[micro, :width] for name, tensor in batch.items()}
            logprobs, values = self.policy(part.queries, part.query_mask, part.responses, part.mask)
            losses = ppo_losses(
                logprobs, old["old_logprobs"], values.to(logprobs), old["old_values"], old["advantages"],
                old["returns"], part.mask, config.cliprange, config.cliprange_value, config.vf_coef, n_tokens,
            )  # fmt: skip
            losses.total.backward()
            weight = float(part.mask.sum() / n_tokens)
            parts = [losses.stats[n] * (1.0 if n.startswith("loss/") else weight) for n in names]
            mean_ratio = masked_mean((logprobs.detach() - old["old_logprobs"]).exp(), part.mask) * weight
            sums += torch.stack([x.double().cpu() for x in [*parts, mean_ratio]])
            largest = torch.maximum(largest, losses.stats["policy/ratio_max"].double().cpu())
        self.processes.sum_gradients(self.parameters)
        sums, largest = self.processes.gather(sums[None]).sum(0), self.processes.gather(largest).max()
        return dict(zip([*names, "policy/ratio"], sums.tolist(), strict=True)) | {"policy/ratio_max": largest.item()}

    def _gradients_finite(self) -> bool:
        return all(p.grad is None or bool(p.grad.isfinite().all()) for p in self.parameters)

    def _set_learning_rates(self) -> None:
        config, done = self.config, self.steps_done
        scale = 1.0
        if config.lr_schedule != "constant":
            progress = min(done / config.total_steps, 1.0)
            scale = 1 - progress
            if config.lr_schedule == "cosine":
                scale = 0.5 * (1 + torch.cos(torch.tensor(torch.pi * progress, dtype=torch.float64)).item())
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * scale

    def log_stats(self, stats: dict[str, float], rollout: Rollout | None = None, scores: Any = None) -> None:
        """Appends the statistics (with the step's number) to `history`; the other arguments are the lab's."""
        self.history.append({"step": self.steps_done} | stats)

    # -- 3. keeping ----------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> None:
        """Writes all that `resume` needs to `folder/step-N`; see `labhelpers.ppo.checkpoint`."""
        state.save(self, folder)

    def resume(self, folder: str | Path) -> None:
        """Continues where `save` left off: same parameters, same remaining batches and draws, same statistics.

        Raises ArtifactError when the folder holds no such state or one from other settings.
        """
        state.resume(self, folder)


# Statistics that average over a mini-batch's tokens; the others are computed once over the whole batch.
_MINI_BATCH_STATS = (
    "loss/policy", "loss/value", "loss/total", "policy/approxkl", "policy/policykl", "policy/clipfrac",
    "val/vpred", "val/error", "val/clipfrac",
)  # fmt: skip


def _finite(x: float) -> bool:
    return x == x and abs(x) != float("inf")
