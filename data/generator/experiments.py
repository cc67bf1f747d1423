"""`python -m data.generator.experiments [NAME ...]`, in the folder of a clone: carries out the plans in
data/experiments/ and writes their tables. Without NAME, all of them.

It takes hours; stopped and started again, it goes on where it was. Runs lie in runs/experiments/NAME.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from labhelpers.batch.plans import load_plan
from labhelpers.batch.workers import run_batch
from labhelpers.course.experiments import has_table_of, table_text
from labhelpers.files import write_atomically

HOME = Path(__file__).resolve().parents[1] / "experiments"
_VARIES = "seconds"  # results with this in their name, which no second run repeats


def rows(outcomes, varied) -> list[dict]:
    """A row per run: the parameters in `varied`, then `NN.result` of every notebook, numbers to six digits."""
    return [
        {name: run.parameters[name] for name in varied}
        | {
            f"{notebook[:2]}.{name}": _shortened(value)
            for notebook, found in run.results.items()
            for name, value in found.items()
            if _VARIES not in name
        }
        for run in outcomes
    ]


def _shortened(value):
    if isinstance(value, list):
        return [_shortened(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) and math.isfinite(value) else value


def main(arguments: list[str] | None = None) -> int:
    names = sorted(path.stem for path in HOME.glob("*.yaml"))
    parser = argparse.ArgumentParser(prog="python -m data.generator.experiments", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(names)}; none: all of them")
    parser.add_argument("--workers", type=int, metavar="N", help="runs at a time (default: by cores and memory)")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in names]:
        parser.error(f"no plan {unknown[0]!r} in {HOME}: it has {', '.join(names)}")
    failed = 0
    for name in options.names or names:
        plan, folder = HOME / f"{name}.yaml", Path("runs", "experiments", name)
        if not has_table_of(plan):  # the notebooks that are run may read it
            write_atomically(plan.with_suffix(".csv"), table_text(plan, []))
        outcomes, place = run_batch(
            plan, str(folder), workers=options.workers, say=lambda line: print(line, flush=True)
        )
        if lost := [run.label for run in outcomes if run.status != "finished"]:
            print(f"{name}: no table, because {len(lost)} of {len(outcomes)} runs failed, first {lost[0]}: see {place}")
            failed += 1
            continue
        write_atomically(HOME / f"{name}.csv", table_text(plan, rows(outcomes, load_plan(plan).grid)))
        print(f"wrote {HOME / name}.csv: {len(outcomes)} runs")
    return min(failed, 1)


if __name__ == "__main__":
    raise SystemExit(main())
