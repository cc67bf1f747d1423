"""The queries of every step: a dataset without end, in batches that depend on the seed and the step alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from datasets import Dataset

from labhelpers.errors import TrainingError
from labhelpers.policy.sampling import permutation

if TYPE_CHECKING:
    from labhelpers.ppo.trainer import PPOTrainer


class Batches:
    """Iterates for ever over a dataset in batches, `{column: [values]}`, shuffled anew each epoch from the seed.

    It starts at the trainer's current step, so a resumed run goes on with the batch that the stopped one would have
    had. With several processes each gets its share of the batch.
    """

    def __init__(self, trainer: PPOTrainer, dataset: Dataset):
        self.trainer, self.dataset = trainer, dataset
        self.per_epoch = len(dataset) // trainer.config.batch_size
        if self.per_epoch == 0:
            raise TrainingError(f"{len(dataset)} queries are fewer than one batch of {trainer.config.batch_size}.")

    def __len__(self) -> int:
        """Batches per epoch; an incomplete last batch is left out."""
        return self.per_epoch

    def __iter__(self) -> Iterator[dict[str, list]]:
        config, step = self.trainer.config, self.trainer.steps_done
        while True:
            epoch, place = divmod(step, self.per_epoch)
            order = permutation(config.seed, -1 - epoch, len(self.dataset))
            rows = order[place * config.batch_size : (place + 1) * config.batch_size].tolist()
            yield self.dataset[[rows[i] for i in self.trainer.processes.share(config.batch_size)]]
            step += 1
