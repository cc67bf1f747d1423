"""What TensorBoard shows, read by its own reader."""

from pathlib import Path

from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer


def curves(logdir: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """`{run: {tag: [(step, value)]}}` for every run that TensorBoard finds below `logdir`."""
    found = EventMultiplexer().AddRunsFromDirectory(str(logdir)).Reload()
    return {
        run: {tag: [(event.step, event.value) for event in found.Scalars(run, tag)] for tag in tags["scalars"]}
        for run, tags in found.Runs().items()
    }


def text(logdir: Path, run: str, tag: str) -> str:
    found = EventMultiplexer().AddRunsFromDirectory(str(logdir)).Reload()
    (event,) = found.Tensors(run, f"{tag}/text_summary")
    return event.tensor_proto.string_val[0].decode()
