"""How long a PPO step takes, side by side in one run: this project, a floor of stock calls, and the labs' old loop.

python tests/benchmarks/ppo_speed.py --shapes small base --dtype float32 bfloat16 --table --eval --classic "…"

README.md beside this file says what is measured, what the columns mean and how to make the old loop's environment.
This process imports nothing heavy: each measurement is a child process, and its peak memory is what the system says of
that child. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
BUNDLED = REPOSITORY / "data" / "dialogues" / "train.jsonl"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--shapes", nargs="+", default=["small", "base"], choices=["tiny", "small", "base"])
    add("--dtype", nargs="+", default=["float32"], choices=["float32", "bfloat16", "float64"], dest="dtypes")
    add("--steps", type=int, default=1, help="PPO steps to average over (default 1)")
    add("--rounds", type=int, default=1, help="repeat all variants in turn this often; the fastest of each counts")
    add("--batch", type=int, default=16)
    add("--mini-batch", type=int, default=4)
    add("--max-new", type=int, nargs=2, default=[100, 400], metavar=("LOW", "HIGH"), help="LOW <= new tokens < HIGH")
    add("--threads", type=int, default=2)
    add("--dialogues", type=Path, help="JSONL with dialogue and summary; default: bundled ones, joined in pairs")
    add("--score-prompt", action="store_true", help="score prompt + response, as the lab; default: the response")
    add("--classic", metavar="COMMAND", help="times the old loop: it is given the arguments that README.md lists")
    add("--table", action="store_true", help="also one step for every batch size and length, on the shape small")
    add("--table-batches", type=int, nargs="+", default=[8, 16, 32, 64])
    add("--table-tokens", type=int, nargs="+", default=[50, 100, 200, 400])
    add("--table-shape", default="small", choices=["tiny", "small", "base"])
    add("--eval", action="store_true", help="also the toxicity evaluation: prompts per second")
    add("--eval-prompts", type=int, default=100, help="prompts evaluated in batches")
    add("--eval-prompts-lab", type=int, default=11, help="prompts evaluated one at a time")
    add("--eval-batch", type=int, default=50, help="as the profile full has it")
    add("--eval-tokens", type=int, default=100)
    options = parser.parse_args(arguments)
    if options.batch % options.mini_batch or any(b % options.mini_batch for b in options.table_batches):
        parser.error("batch sizes must be multiples of --mini-batch")
    if not 1 <= options.max_new[0] < options.max_new[1]:
        parser.error("--max-new needs 1 <= LOW < HIGH")
    if options.classic and options.mini_batch != 4:
        parser.error("the old loop has mini-batches of 4")
    return options


def join_pairs(source: Path, target: Path) -> Path:
    """Writes neighbouring dialogues joined in pairs: the bundled ones are shorter than DialogSum's."""
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    with target.open("w", encoding="utf-8") as file:
        for first, second in zip(rows[::2], rows[1::2], strict=False):
            joined = {"dialogue": first["dialogue"] + "\n" + second["dialogue"]}
            joined["summary"] = first["summary"] + " " + second["summary"]
            file.write(json.dumps(joined) + "\n")
    return target


def run_child(command: list[str]) -> dict:
    """Runs a command, returns its last line of JSON and its peak resident memory ("peak_mib"); shows failures."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0), errors.seek(0)
        lines = [line for line in output.read().splitlines() if line.startswith("{")]
        if process.returncode or not lines:
            print(errors.read()[-3000:], file=sys.stderr)
            raise SystemExit(f"{shlex.join(command)[:300]} failed with exit code {process.returncode}.")
    kib = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)  # macOS counts bytes
    return json.loads(lines[-1]) | {"peak_mib": round(kib / 1024)}


def measure(variant: str, shape: str, dtype: str, options: argparse.Namespace, dialogues: Path) -> dict:
    """One measurement in a child process."""
    print(f"... {variant}, {shape}, {dtype}", file=sys.stderr, flush=True)
    if variant == "classic":
        low, high = options.max_new
        arguments = (
            f"--shape {shape} --steps {options.steps} --batch {options.batch} --max-new {low} {high} "
            f"--threads {options.threads}"
        )
        return run_child([*shlex.split(options.classic), str(dialogues), *arguments.split()])
    settings = vars(options) | {"variant": variant, "shape": shape, "dtype": dtype, "dialogues": str(dialogues)}
    return run_child([sys.executable, str(HERE / "variants.py"), json.dumps(settings)])


def fastest(variants: list[str], shape: str, dtype: str, options: argparse.Namespace, dialogues: Path) -> dict:
    """{variant: its fastest measurement}. The variants take turns, so that a busy moment does not hit only one."""
    best: dict[str, dict] = {}
    for _ in range(options.rounds):
        for variant in variants:
            result = measure(variant, shape, dtype, options, dialogues)
            print(f"    {result['s_per_step']:.1f} s, {result['peak_mib']} MiB", file=sys.stderr, flush=True)
            if variant not in best or result["s_per_step"] < best[variant]["s_per_step"]:
                best[variant] = result
    return best


def rows_of(shape: str, dtype: str, best: dict[str, dict]) -> list[dict]:
    """One row per variant, with the ratios on ours. The old loop is float32, whatever it is compared with."""
    rows = []
    for variant, result in best.items():
        used = "float32" if variant == "classic" else dtype
        row = {"shape": shape, "dtype": used, "variant": variant} | result
        if variant == "ours":
            if "floor" in best:
                low = best["floor"]["s_per_step"]
                row["ours_over_floor"] = round((result["s_per_step"] - result["score"]) / low, 3)
                row["ours_with_score_over_floor"] = round(result["s_per_step"] / low, 3)
            if "classic" in best:
                classic = best["classic"]
                row["classic_over_ours"] = round(classic["s_per_step"] / result["s_per_step"], 2)
                per_token = result["s_per_step"] / result["new_tokens"]
                row["classic_over_ours_per_token"] = round(classic["s_per_step"] / classic["new_tokens"] / per_token, 2)
                row["memory_over_classic"] = round(result["peak_mib"] / classic["peak_mib"], 3)
        rows.append(row)
    return rows


COLUMNS = {
    "shape": "shape", "dtype": "dtype", "variant": "variant", "s_per_step": "s/step", "generate": "generate",
    "score": "score", "reference": "reference", "update": "update", "new_tokens": "tokens",
    "peak_mib": "peak MiB", "ours_over_floor": "ours/floor", "classic_over_ours": "classic/ours",
    "memory_over_classic": "memory/classic",
}  # fmt: skip


def print_table(rows: list[dict]) -> None:
    """The rows as text, under their column names."""
    lines = [list(COLUMNS.values())]
    for row in rows:
        # The old loop knows only "step": reference passes and updates together.
        row = row | ({"update": row["step"]} if "step" in row else {})
        cells = [row.get(name, "") for name in COLUMNS]
        lines.append([f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def print_linearity(cells: list[dict]) -> None:
    """Seconds per step, and milliseconds per response token, for every batch size and length."""
    print(f"{'batch':>6} {'tokens':>7} {'s/step':>9} {'ms/token':>9}   generate   score  reference  update")
    for cell in cells:
        parts = [cell[f"time/{name}"] for name in ("generate", "score", "reference", "update")]
        per_token = 1e3 * cell["seconds"] / cell["tokens"]
        texts = " ".join(f"{part:9.2f}" for part in parts)
        print(f"{cell['batch']:6} {cell['tokens'] // cell['batch']:7} {cell['seconds']:9.2f} {per_token:9.2f} {texts}")


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory(prefix="labhelpers-bench-") as folder:
        dialogues = options.dialogues or join_pairs(BUNDLED, Path(folder) / "dialogues.jsonl")
        variants = ["ours", "floor"] + (["classic"] if options.classic else [])
        rows, others = [], []
        for shape in options.shapes:
            classic = None
            for dtype in options.dtypes:
                # The old loop knows float32 only: bfloat16 is compared with that.
                wanted = [v for v in variants if v != "classic" or classic is None]
                best = fastest(wanted, shape, dtype, options, dialogues)
                classic = best.get("classic", classic)
                if classic:
                    best["classic"] = classic
                rows += rows_of(shape, dtype, best)
                if options.eval:
                    result = measure("evaluation", shape, dtype, options, dialogues)
                    others.append({"shape": shape, "dtype": dtype, "variant": "evaluation"} | result)
        if options.table:
            dtype = options.dtypes[0]
            result = measure("table", options.table_shape, dtype, options, dialogues)
            others.append({"shape": options.table_shape, "dtype": dtype, "variant": "table"} | result)
    low, high = options.max_new
    print(
        f"{platform.machine()}, {options.threads} threads, batch {options.batch}, mini-batch {options.mini_batch}, "
        f"{low}-{high - 1} new tokens, {rows[0]['prompt_tokens']:.0f} prompt tokens on average"
    )
    print_table(rows)
    for other in others:
        if other["variant"] == "evaluation":
            print(
                f"\ntoxicity evaluation, {other['shape']} {other['dtype']}: {other['prompts_per_s']:.2f} prompts/s, "
                f"one at a time {other['prompts_per_s_lab']:.2f}, ratio {other['ratio']:.1f}"
            )
        else:
            print(f"\none step, {other['shape']} {other['dtype']}, all responses of one length")
            print_linearity(other["cells"])
    print()
    for row in rows + others:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
