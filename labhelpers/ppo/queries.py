"""The queries of every step: an endless sequence of batches, determined by the seed and the step number alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from datasets import Dataset

from labhelpers.errors import TrainingError
from labhelpers.policy.sampling import permutation


class Batches:
    """An endless iterator over the batches of a dataset, `{column: [values]}`. The seed shuffles each epoch anew.

    A batch has `batch_size` rows; this process gets the rows at the places `share`. `step()` returns the number of the
    step to begin with: it is called when an iteration begins, so that a resumed run continues with the batch that the
    stopped run would have used next. Raises TrainingError when the dataset has fewer rows than one batch.
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
