"""What a batch costs beside bare papermill, and what two workers gain: the same short runs of notebook 04, three ways.

python tests/benchmarks/batch_speed.py [--runs 8] [--steps 8]

1. papermill, one notebook after another, each in a kernel of its own, nothing else;
2. `labs batch --workers 1`;
3. `labs batch --workers 2`.

Prints seconds and two ratios: two workers over one after another, and a batch's overhead over bare papermill. Nothing
is asserted; run it on a machine that does nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "04_ppo_detoxification.ipynb"
LABS = [sys.executable, "-m", "labhelpers.cli"]


def seconds(command: list[str], **options) -> float:
    """How long a command takes; shows what it said if it fails."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise SystemExit(f"{command} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    parameters = {"sft_adapter": str(ROOT / "data/adapters/sft"), "rewards": "toxicity", "ppo_steps": options.steps}
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="labhelpers-batch-") as name:
        folder, bare = Path(name), 0.0
        for seed in range(options.runs):
            out = folder / f"bare-{seed}"
            out.mkdir()
            given = {"profile": "tiny", "seed": seed, "run_dir": str(out)} | parameters
            paths = f"{str(NOTEBOOK)!r}, {str(out / 'nb.ipynb')!r}"
            settings = f"cwd={str(NOTEBOOK.parent)!r}, kernel_name='python3', progress_bar=False"
            code = f"import papermill; papermill.execute_notebook({paths}, {given!r}, {settings})"
            took = seconds([sys.executable, "-c", code], env=environment)
            print(f"... papermill, seed {seed}: {took:.1f} s", file=sys.stderr, flush=True)
            bare += took
        plan = folder / "plan.yaml"  # JSON is YAML
        grid = {"seed": list(range(options.runs))}
        plan.write_text(json.dumps({"notebooks": ["04"], "parameters": parameters, "threads": 1, "grid": grid}))
        took = {}
        for workers in (1, 2):
            out = folder / f"workers-{workers}"
            command = [*LABS, "batch", str(plan), "--output-dir", str(out), "--workers", str(workers)]
            took[workers] = seconds(command, env=environment, cwd=ROOT)
            print(f"... batch, {workers} workers: {took[workers]:.1f} s", file=sys.stderr, flush=True)
    print(f"{options.runs} runs of notebook 04 with {options.steps} PPO steps")
    print(f"papermill, one after another  {bare:7.1f} s")
    print(f"labs batch, 1 worker          {took[1]:7.1f} s   {took[1] - bare:+.1f} s, {took[1] / bare - 1:+.1%}")
    print(f"labs batch, 2 workers         {took[2]:7.1f} s   {took[2] / bare:.2f} of one after another")


if __name__ == "__main__":
    main()
