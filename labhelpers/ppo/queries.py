"""The queries of every step: a dataset without end, in batches that depend on the seed and the step alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from datasets import Dataset

from labhelpers.errors import TrainingError
from labhelpers.policy.sampling import permutation


class Batches:
    """Iterates for ever over a dataset in batches, `{column: [values]}`, shuffled anew each epoch from the seed.

    `share` are the places of a batch of `batch_size` rows that this process gets. `step()` is asked when an iteration
    begins: a resumed run goes on with the batch that the stopped one would have had. Raises TrainingError for fewer
    rows than one batch.
    """

    def __init__(self, dataset: Dataset, batch_size: int, seed: int, share: range, step: Callable[[], int]):
        self.dataset, self.batch_size, self.seed, self.share, self.step = dataset, batch_size, seed, share, step
        self.per_epoch = len(dataset) // batch_size
        if self.per_epoch == 0:
            raise TrainingError(f"{len(dataset)} queries are fewer than one batch of {batch_size}.")

    def __len__(self) -> int:
        """Batches per epoch; an incomplete last batch is left out."""
        return self.per_epoch

    def __iter__(self) -> Iterator[dict[str, list]]:
        step = self.step()
        while True:
            epoch, place = divmod(step, self.per_epoch)
            order = permutation(self.seed, -1 - epoch, len(self.dataset))
            rows = order[place * self.batch_size : (place + 1) * self.batch_size].tolist()
            yield self.dataset[[rows[i] for i in self.share]]
            step += 1
