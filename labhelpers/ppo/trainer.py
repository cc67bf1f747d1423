"""The PPO loop's trainer: `generate` -> (your reward) -> `step`, with the names that the PPO lab uses.

for batch in itertools.islice(trainer.dataloader, ppo_steps):
    rollout = trainer.generate(batch["query"], max_new_tokens=48)
    scores = reward.score(batch["query"], rollout.texts)
    stats = trainer.step(rollout, scores)
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.tracking import GeneralTracker
from datasets import Dataset
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from labhelpers.errors import TrainingError
from labhelpers.policy.fast.passes import passes
from labhelpers.policy.model import Policy
from labhelpers.policy.rollout import Rollout, generate
from labhelpers.policy.sampling import POLICY_ITSELF, Sampling, permutation
from labhelpers.ppo import checkpoint
from labhelpers.ppo.advantages import gae
from labhelpers.ppo.config import PPOConfig
from labhelpers.ppo.distributed import Processes
from labhelpers.ppo.experience import Experience
from labhelpers.ppo.kl_penalty import AdaptiveKLController, FixedKLController, token_rewards
from labhelpers.ppo.loss import ppo_losses, update_diagnostics
from labhelpers.ppo.queries import Batches
from labhelpers.ppo.statistics import rollout_statistics
from labhelpers.ppo.value_head import StartingRollouts, ValueFit, fit_value_head

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Generated:
    """What the trainer keeps from its last rollout until `step` uses it."""

    rollout: Rollout
    encoded: Float[Tensor, "B Q d"] | None  # the encoder's states of the queries, if the step needs them
    seconds: float
    ended: float  # by `time.perf_counter`


class PPOTrainer:
    """Trains a policy with PPO. See the module's docstring for the loop, `PPOConfig` for the settings.

    `dataset` holds the queries; `dataloader` gives a batch of them per step and never ends (with None there is no
    dataloader). With an `accelerator`, several processes share every batch. A `tracker`, one of accelerate's or of your
    own, gets the statistics of every step that is logged. Raises TrainingError for a tokenizer without an
    end-of-sequence token and for fewer queries than a batch.
    """

    def __init__(
        self,
        config: PPOConfig,
        policy: Policy,
        tokenizer: PreTrainedTokenizerBase,
        dataset: Dataset | None = None,
        accelerator: Accelerator | None = None,
        tracker: GeneralTracker | None = None,
    ):
        if tokenizer.eos_token_id is None:
            raise TrainingError("the tokenizer has no end-of-sequence token: no response could ever end.")
        self.config, self.policy, self.tokenizer = config, policy, tokenizer
        self.processes = Processes(accelerator)
        self.tracker = tracker
        self.dataloader = None
        if dataset is not None:
            own = self.processes.share(config.batch_size)
            self.dataloader = Batches(dataset, config.batch_size, config.seed, own, lambda: self.steps_done)
        head = list(policy.value_head.parameters())
        adapter = [p for p in policy.model.parameters() if p.requires_grad]
        self.parameters = adapter + head
        head_rate = config.learning_rate if config.value_learning_rate is None else config.value_learning_rate
        self.optimizer = torch.optim.Adam(
            [{"params": adapter, "base_lr": config.learning_rate}, {"params": head, "base_lr": head_rate}],
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
        self._generated: _Generated | None = None
        self._warned = False

    # -- 0. before the first step ---------------------------------------------------------------------------------

    def fit_value_head(self, start: StartingRollouts, scores: Float[Tensor, " B"] | Sequence[float]) -> ValueFit:
        """Fits the value head to scored responses of the policy as it is, before the first step.

        There is no KL yet, so the return of a token is its response's score, clipped or normalised as in training
        (whose running moments begin with these scores), and discounted by gamma. Raises TrainingError after the first
        step, and for scores that are not one finite number per response.
        """
        if self.steps_done:
            raise TrainingError(f"{self.steps_done} steps are done; a value head is fitted before the first one.")
        scores = torch.as_tensor(scores, dtype=torch.float64).to(start.rows.device)
        if scores.shape != (len(start.texts),) or not bool(scores.isfinite().all()):
            raise TrainingError(f"{len(start.texts)} responses need as many finite scores, got {tuple(scores.shape)}.")
        adjusted = self._adjusted_scores(scores, start.finished)
        return fit_value_head(self.policy, start.features, adjusted[start.rows] * self.config.gamma**start.left)

    # -- 1. rollout ----------------------------------------------------------------------------------------------

    def generate(
        self,
        queries: Sequence[str] | Sequence[Tensor],
        max_new_tokens: int | Sequence[int] = 64,
        sampling: Sampling = POLICY_ITSELF,
        ahead: int = 0,
    ) -> Rollout:
        """One response per query, drawn with the random numbers of this step; see `labhelpers.policy.generate`.

        PPO assumes samples from the policy's own distribution. Another `sampling` is meant for experiments; so is
        `ahead`, for a rollout that waits that many steps before it is used (give the trainer `keep_logprobs=True`).
        """
        started = time.perf_counter()
        rows = [self.processes.share(self.config.batch_size).start + i for i in range(len(queries))]
        rollout = generate(
            self.policy, self.tokenizer, queries, max_new_tokens,
            sampling=sampling, seed=self.config.seed, step=self.steps_done + ahead, rows=rows,
        )  # fmt: skip
        # The encoder's states are large and belong to this policy only: the trainer keeps them until the next step.
        encoded = None if self._keeps_logprobs else rollout.encoded
        rollout = replace(rollout, encoded=None)
        ended = time.perf_counter()
        self._generated = _Generated(rollout, encoded, ended - started, ended)
        return rollout

    # -- 2. step -------------------------------------------------------------------------------------------------

    def step(self, rollout: Rollout, scores: Float[Tensor, " B"] | Sequence[float]) -> dict[str, float]:
        """One PPO step on a scored rollout; returns its statistics. The rollout stays as it is.

        Raises TrainingError for a rollout or scores that cannot be used; the policy is then unchanged.

        In float64, the old log-probabilities are those of the rollout. In lower precisions they are computed again in
        one full pass, as for the reference: a token-by-token pass differs from a full pass (by 1e-6 in float32, 1e-2 in
        bfloat16), and the KL before the first update would not be 0.
        """
        # 1. Check the arguments. Scores become `[B]` in float64.
        started = time.perf_counter()
        scores = self._checked_scores(rollout, scores)
        times = {"generate": 0.0, "score": 0.0}
        if self._generated is not None:
            times = {"generate": self._generated.seconds, "score": started - self._generated.ended}

        # 2. How likely the responses are under the policy that wrote them, and under the reference.
        experience = self._with_reference(rollout, scores)
        times["reference"] = time.perf_counter() - started
        started = time.perf_counter()

        # 3. From here on every process has the rows of all processes.
        experience = experience.gathered(self.processes, self.policy.padding_side)

        # 4. Token rewards, and from them advantages and returns, over the whole batch.
        kl_coef = self.kl_controller.value
        experience = self._with_advantages(experience, kl_coef)

        # 5. Several epochs of clipped updates on the same experience.
        updates = self._update(experience)
        times["update"] = time.perf_counter() - started

        # 6. Statistics, the KL controller, the step counter.
        stats = rollout_statistics(experience) | {"objective/kl_coef": kl_coef} | updates
        stats |= {f"time/{name}": seconds for name, seconds in times.items()}
        stats["time/total"] = sum(times.values())
        self.kl_controller.update(stats["objective/kl"], len(experience))
        self.steps_done += 1
        return stats

    def _checked_scores(self, rollout: Rollout, scores: Float[Tensor, " B"] | Sequence[float]) -> Float[Tensor, " B"]:
        rollout.check()
        scores = torch.as_tensor(scores, dtype=torch.float64).to(rollout.mask.device)
        expected = len(self.processes.share(self.config.batch_size))
        if len(rollout) != expected:
            raise TrainingError(f"the rollout has {len(rollout)} responses, but this process's batch has {expected}.")
        if scores.shape != (len(rollout),):
            raise TrainingError(
                f"{len(rollout)} responses need {len(rollout)} scores, got shape {tuple(scores.shape)}."
            )
        if not bool(scores.isfinite().all()):
            bad = (~scores.isfinite()).nonzero().flatten().tolist()
            raise TrainingError(f"the reward of response {bad[0]} is {scores[bad[0]].item()}: not a finite number.")
        return scores

    def _adjusted_scores(self, scores: Float[Tensor, " B"], finished: Bool[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Scores after scaling by running moments (Chan et al. 1979), clipping, and the penalty for a missing end."""
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
            if not self._warned and len(scores) > 1 and bool((scores == scores[0]).all()):
                self._warned = True  # once: a policy that has learned all there is would say so at every step
                logger.warning(
                    "PPO step %d: all %d scores are %g after clipping to ± %g: nothing but the KL penalty is left to "
                    "learn from. If the rewards lie beyond it from the start, use a larger score_clip or scale_scores.",
                    self.steps_done, len(scores), scores[0], config.score_clip,
                )  # fmt: skip
        if config.missing_eos_penalty is not None:
            scores = torch.where(finished, scores, scores - config.missing_eos_penalty)
        return scores

    @property
    def _keeps_logprobs(self) -> bool:
        """Whether the rollout's log-probabilities and values serve as the old ones, without a second pass."""
        keep = self.config.keep_logprobs
        return self.policy.dtype == torch.float64 if keep is None else keep

    @torch.no_grad()
    def _with_reference(self, rollout: Rollout, scores: Float[Tensor, " B"]) -> Experience:
        """The experience so far: old and reference log-probabilities, old values, scores."""
        self.policy.eval()
        generated, self._generated = self._generated, None  # the update makes these states out of date
        with self.policy.reference():
            states = self.policy.encode(rollout.queries, rollout.query_mask)
            ref_logprobs, _ = self._evaluated(rollout, states)
        logprobs, values = rollout.logprobs, rollout.values
        if not self._keeps_logprobs:
            states = generated.encoded if generated is not None and generated.rollout is rollout else None
            if states is None:
                states = self.policy.encode(rollout.queries, rollout.query_mask)
            logprobs, values = self._evaluated(rollout, states)
        written = {f.name: getattr(rollout, f.name) for f in fields(rollout)}
        written |= {"logprobs": logprobs, "values": values, "encoded": None}
        return Experience(**written, scores=scores, ref_logprobs=ref_logprobs)

    def _evaluated(
        self, rollout: Rollout, encoded: Float[Tensor, "B Q d"] | None
    ) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
        """Log-probabilities and values by the model in its present mode (policy or reference), from `encoded`."""
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
        """Groups of these rows that go through the model together; see `passes`."""
        most = at_most or self.config.micro_batch_size or self.config.mini_batch_size
        lengths = rollout.total_lengths[rows]
        for places in passes(lengths, self.policy.token_bytes, lengths.device, most, caches):
            yield rows[places]

    def _with_advantages(self, experience: Experience, kl_coef: float) -> Experience:
        """Adds the KL of every token, advantages and returns, computed from the adjusted scores of the whole batch."""
        config, mask = self.config, experience.mask
        scores = self._adjusted_scores(experience.scores, experience.finished).to(experience.logprobs)
        rewards, token_kl = token_rewards(
            scores, experience.logprobs, experience.ref_logprobs, mask, kl_coef, config.kl_penalty
        )
        advantages, returns = gae(experience.values, rewards, mask, config.gamma, config.lam, config.whiten_rewards)
        _, to_go = gae(torch.zeros_like(rewards), rewards, mask, config.gamma, 1.0, config.whiten_rewards)
        found = {"token_kl": token_kl, "advantages": advantages, "returns": returns, "rewards_to_go": to_go}
        return replace(experience, **found)

    def _update(self, experience: Experience) -> dict[str, float]:
        """The optimizer updates of one step, and their mean statistics."""
        config = self.config
        self._set_learning_rates()
        self.policy.train(config.dropout)
        sums: dict[str, float] = {}
        done = skipped = 0
        stopped = False
        for epoch in range(config.ppo_epochs):
            order = permutation(config.seed, (self.steps_done + 1) * 1000 + epoch, len(experience))
            for rows in order.to(experience.mask.device).split(config.mini_batch_size):
                stats = self._mini_batch(experience, rows)
                if config.target_kl is not None and stats["policy/approxkl"] > config.target_kl:
                    stopped = True
                    break
                healthy = all(map(math.isfinite, stats.values())) and self._gradients_finite()
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

    def _mini_batch(self, experience: Experience, rows: Int[Tensor, " b"]) -> dict[str, float]:
        """Computes the gradients of one mini-batch and returns its statistics.

        Every micro-batch's loss is divided by the number of tokens in the whole mini-batch.
        """
        config = self.config
        self.optimizer.zero_grad(set_to_none=True)
        n_tokens = experience.lengths[rows].sum()
        own = self.processes.share(len(experience))
        mine = rows[(rows >= own.start) & (rows < own.stop)]
        sums = torch.zeros(len(_SUMMED), dtype=torch.float64)
        largest = torch.zeros(1, dtype=torch.float64)
        # Backward reads and writes as much as forward does, so it gets one of the two caches.
        for micro in self._passes(experience, mine, config.micro_batch_size, caches=1):
            part = experience.rows(micro)
            logprobs, values = self.policy(part.queries, part.query_mask, part.responses, part.mask)
            terms = (
                logprobs, part.logprobs, values.to(logprobs), part.values, part.advantages, part.returns, part.mask,
                config.cliprange, config.cliprange_value,
            )  # fmt: skip
            losses = ppo_losses(*terms, config.vf_coef, n_tokens)
            losses.total.backward()
            weight = float(part.mask.sum() / n_tokens)
            found = update_diagnostics(*terms)
            largest = torch.maximum(largest, found.pop("policy/ratio_max").double().cpu())
            found = {name: mean * weight for name, mean in found.items()}
            found |= {f"loss/{name}": getattr(losses, name).detach() for name in ("policy", "value", "total")}
            sums += torch.stack([found[name].double().cpu() for name in _SUMMED])
        self.processes.sum_gradients(self.parameters)
        sums, largest = self.processes.gather(sums[None]).sum(0), self.processes.gather(largest).max()
        return dict(zip(_SUMMED, sums.tolist(), strict=True)) | {"policy/ratio_max": largest.item()}

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
        """Appends the statistics and the step's number to `history`, and reports them to the tracker, if there is one.

        The PPO lab passes the other arguments: not used.
        """
        self.history.append({"step": self.steps_done} | stats)
        self._report(self.history[-1])

    def _report(self, row: dict[str, float]) -> None:
        if self.tracker is not None and self.processes.is_main:
            self.tracker.log({name: value for name, value in row.items() if name != "step"}, step=int(row["step"]))

    # -- 3. saving and resuming ------------------------------------------------------------------------------------

    def state_dict(self) -> checkpoint.TrainerState:
        """A copy of everything a run needs to continue, except the model's frozen weights."""

        def copied(tensor: Tensor) -> Tensor:
            return tensor.detach().to("cpu", copy=True).contiguous()

        moments = self.optimizer.state_dict()["state"]
        return checkpoint.TrainerState(
            parameters=[copied(p) for p in self.parameters],
            moments={i: {name: copied(t) for name, t in own.items()} for i, own in moments.items()},
            torch_generator=torch.get_rng_state(),
            steps_done=self.steps_done,
            kl_coef=self.kl_controller.value,
            score_moments=list(self._score_moments),
            history=[dict(row) for row in self.history],
            settings=asdict(self.config),
        )

    @torch.no_grad()
    def load_state_dict(self, state: checkpoint.TrainerState) -> None:
        """Continues from `state`, which a trainer with the same model and settings returned."""
        for parameter, saved in zip(self.parameters, state.parameters, strict=True):
            parameter.copy_(saved)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict(copy.deepcopy({"state": state.moments, "param_groups": groups}))
        torch.set_rng_state(state.torch_generator)
        self.steps_done, self.history = state.steps_done, [dict(row) for row in state.history]
        self.kl_controller.value, self._score_moments = state.kl_coef, list(state.score_moments)

    def save(self, folder: str | Path) -> None:
        """Writes the policy and everything that `resume` needs to `folder/step-N`; see `labhelpers.ppo.checkpoint`."""
        if self.processes.is_main:
            checkpoint.save(folder, self.state_dict(), self.policy)
        self.processes.wait()

    def resume(self, folder: str | Path) -> None:
        """Continues where `save` stopped: with the same parameters, random numbers, remaining batches and statistics.

        The tracker, too, gets the statistics of the steps before, so that its curves begin at the beginning. Raises
        ArtifactError when the folder holds no state, or a state written with other settings.
        """
        self.load_state_dict(checkpoint.load(folder, asdict(self.config)))
        for row in self.history:
            self._report(row)


# Summed over the micro-batches of a mini-batch: the losses, and the diagnostics that are averages over tokens.
_SUMMED = (
    "loss/policy", "loss/value", "loss/total", "policy/approxkl", "policy/policykl", "policy/clipfrac",
    "val/vpred", "val/error", "val/clipfrac", "policy/ratio",
)  # fmt: skip
