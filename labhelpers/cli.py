"""`labs`, the course's command.

The exit status is 0 when everything succeeded, 1 for a failure, 2 for invalid arguments, 130 after Ctrl-C. A failure is
reported on one line on stderr that begins with `labs:`. A command imports what it needs only when it runs, so that
`labs --help` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path

from labhelpers.course.options import add_profile_options, given_parameters
from labhelpers.errors import LabError, UsageError, storage_advice


def main(arguments: list[str] | None = None) -> int:
    """Runs one command line (default: the arguments of this process) and returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # a terminal that has no "→" shows "?" instead of failing
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return options.command(options) or 0
    except KeyboardInterrupt as interrupt:
        return _complain(str(interrupt) or "interrupted", 130)
    except UsageError as error:
        return _complain(error, 2)
    except LabError as error:
        return _complain(error, 1)
    except BrokenPipeError:  # labs … | head
        sys.stderr.close()
        return 1
    except OSError as error:
        advice = storage_advice(error)
        if advice is None:
            raise
        return _complain(f"{error.filename or 'a file'} cannot be written: {advice}", 1)


def _parser() -> argparse.ArgumentParser:
    from labhelpers import __version__

    parser = _Parser(prog="labs", description="Run the notebooks of the RLHF course, and keep them in order.")
    parser.add_argument("--version", action="version", version=f"labs {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="execute notebooks in order, without a browser")
    run.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="name, its beginning (04) or path; none: all")
    add_profile_options(run)
    run.add_argument("--output-dir", metavar="DIR", help="where everything goes (default: runs/PROFILE)")
    run.set_defaults(command=_run)

    batch = commands.add_parser("batch", help="carry out a plan: a grid of runs or a cohort's submissions")
    batch.add_argument("plan", metavar="PLAN.yaml", help="which notebooks, parameters and grid (see docs/batch.md)")
    batch.add_argument("--output-dir", metavar="DIR", help="folder or fsspec address (default: runs/batch/PLAN)")
    batch.add_argument("--workers", type=int, metavar="N", help="runs at a time (default: by cores and memory)")
    batch.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler to use instead of this machine")
    batch.add_argument("--retry-failed", action="store_true", help="do failed runs again too")
    batch.add_argument("--dry-run", action="store_true", help="list the runs and what they may take, and run none")
    batch.set_defaults(command=_batch)

    report = commands.add_parser("report", help="write the report of a batch again")
    report.add_argument("folder", metavar="DIR", help="the output folder of a batch")
    report.set_defaults(command=_report)

    record = commands.add_parser("record", help="execute notebooks and store their outputs in them")
    record.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="which to store; none: all")
    record.add_argument("--run-dir", metavar="DIR", help="take the artifacts of earlier notebooks from this run")
    record.set_defaults(command=_record)

    exercises = commands.add_parser("exercises", help="write learner copies of the notebooks, solutions cut out")
    exercises.add_argument("folder", metavar="DIR", help="where they go")
    exercises.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="which, named as for labs run; none: all")
    formats = "plain copies (the default), or, solutions included, the source folder of an nbgrader course in DIR"
    exercises.add_argument("--format", choices=["plain", "nbgrader"], default="plain", help=formats)
    exercises.add_argument("--release", metavar="OUT.zip", help="also pack copies and package for students")
    there = exercises.add_mutually_exclusive_group()
    there.add_argument("--update", action="store_true", help="bring copies up to date, and keep what was written there")
    there.add_argument("--force", action="store_true", help="replace copies that are there, answers included")
    exercises.set_defaults(command=_exercises)

    doctor = commands.add_parser("doctor", help="check this machine and the installation")
    add_profile_options(doctor)
    doctor.set_defaults(command=_doctor)

    download = commands.add_parser("download", help="fetch the models and data that a profile names")
    add_profile_options(download)
    download.add_argument("--dry-run", action="store_true", help="list files and sizes, and fetch none")
    download.set_defaults(command=_download)

    convert = commands.add_parser("convert", help="write pickled weights (.bin) again as safetensors")
    convert.add_argument("folder", metavar="DIR", help="the folder of a model or an adapter")
    convert.set_defaults(command=_convert)
    return parser


def _settings(options):
    from labhelpers.course.profiles import load_profile

    return load_profile(options.profile, **given_parameters(options))


class _Parser(argparse.ArgumentParser):
    """argparse with our kind of message: one line, and the exit status 2."""

    def error(self, message: str):
        sys.exit(_complain(f"{message}; see {self.prog} --help", 2))


def _run(options) -> None:
    from labhelpers.course.execution import run_notebooks
    from labhelpers.course.outline import BEFORE_AFTER
    from labhelpers.course.run import default_run_dir

    parameters = given_parameters(options)
    began = time.perf_counter()
    seconds = run_notebooks(
        options.notebooks, options.profile, parameters, options.output_dir, say=lambda line: print(line, flush=True)
    )
    out = Path(options.output_dir or default_run_dir(options.profile)).expanduser().resolve()
    print()
    for what, where in (("executed notebooks", "notebooks"), ("figures", "figures"), ("results", "results.json")):
        if (out / where).exists():
            print(f"{what:20} {_shown(out / where)}")
    if BEFORE_AFTER.name in seconds:
        print()
        print("\n".join(summary(out, time.perf_counter() - began)))


def _batch(options) -> int:
    from labhelpers.batch.workers import describe, run_batch

    if options.dry_run:
        print("\n".join(describe(options.plan, options.output_dir, options.workers)))
        return 0
    outcomes, place = run_batch(
        options.plan,
        options.output_dir,
        workers=options.workers,
        scheduler=options.scheduler,
        retry_failed=options.retry_failed,
        say=lambda line: print(line, flush=True),
    )
    finished = sum(outcome.status == "finished" for outcome in outcomes)
    print(f"{finished} of {len(outcomes)} runs finished; the report: {place}/index.html")
    return 0 if finished == len(outcomes) else 1


def _convert(options) -> None:
    from labhelpers.machine.convert import convert

    convert(options.folder)


def _report(options) -> None:
    from labhelpers.batch.report import write_report

    for name in write_report(Path(options.folder)):
        print(_shown(Path(options.folder) / name))


def summary(run_dir: Path, seconds: float) -> list[str]:
    """The results of the course in five lines: before → after, and the 95 % interval of the paired difference."""
    from labhelpers.course.outline import BEFORE_AFTER
    from labhelpers.course.run import read_results

    results = read_results(run_dir).get(BEFORE_AFTER.name, {})
    lines = [
        _change(results, "toxicity", "toxicity"),
        _change(results, "judge toxicity", "judge_toxicity"),
        _change(results, "ROUGE-L", "rouge_l"),
        _change(results, "honesty", "honesty") + _aside(results, "coverage"),
    ]
    minutes, rest = divmod(round(seconds), 60)
    prompts = results.get("prompts")
    return [*lines, f"{'time taken':16} {minutes} min {rest} s" + (f", {prompts} test dialogues" if prompts else "")]


def _change(results: dict, label: str, name: str) -> str:
    before, after = results.get(f"{name}_before"), results.get(f"{name}_after")
    if before is None or after is None:
        return f"{label:16} not measured"
    line = f"{label:16} {before:.3f} → {after:.3f}"
    interval = results.get(f"{name}_difference_ci95")
    if interval and None not in interval:
        line += f"   95 % CI of the paired difference [{interval[0]:+.3f}, {interval[1]:+.3f}]"
    return line


def _aside(results: dict, name: str) -> str:
    before, after = results.get(f"{name}_before"), results.get(f"{name}_after")
    return "" if before is None or after is None else f"   ({name} {before:.3f} → {after:.3f})"


def _record(options) -> None:
    from labhelpers.course.recording import record_outputs

    stored = record_outputs(options.notebooks, run_dir=options.run_dir, say=lambda line: print(line, flush=True))
    print(f"stored the outputs of {len(stored)} notebook{'s' if len(stored) != 1 else ''}")


def _exercises(options) -> None:
    remarks = []
    if options.format == "nbgrader":
        from labhelpers.course.nbgrader import write_assignments

        if options.update or options.release:
            raise UsageError("--update and --release are for plain copies: with nbgrader, nbgrader itself hands out")
        written, remarks = write_assignments(options.folder, options.notebooks, force=options.force)
    else:
        from labhelpers.course.exercises import update_exercises, write_exercises

        if options.release:
            from labhelpers.course.release import write_release

            print(f"packed {_shown(write_release(options.release, options.notebooks))}")
        if options.update:
            written, remarks = update_exercises(options.folder, options.notebooks)
        else:
            written = write_exercises(options.folder, options.notebooks, force=options.force)
    for remark in remarks:
        print(remark)
    where = _shown(Path(options.folder).expanduser().absolute())
    print(f"wrote {len(written)} notebook{'s' if len(written) != 1 else ''} to {where}")


def _doctor(options) -> int:
    from labhelpers.machine.doctor import examine

    settings = _settings(options) if options.profile != "tiny" or options.parameters else None
    findings = examine()
    if options.profile != "tiny":
        from labhelpers.machine.full_size import examine_full

        findings += examine_full(settings)
    for finding in findings:
        print(f"{'ok' if finding.ok else 'NOT OK':7} {finding.what}: {finding.found}")
    return 0 if all(finding.ok for finding in findings) else 1


def _download(options) -> None:
    from labhelpers.machine.download import download

    download(_settings(options), options.dry_run, say=lambda line: print(line, flush=True))


def _shown(path: Path) -> str:
    """The path, relative to the current folder if it lies in it."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _complain(message, status: int) -> int:
    print(f"labs: {' '.join(str(message).split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
