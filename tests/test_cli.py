"""labs: exit statuses, one-line messages, and what a person reads at the end."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from labhelpers import cli
from labhelpers.machine import doctor

LABS = [sys.executable, "-m", "labhelpers.cli"]


def labs(*arguments):
    """One command in a process of its own: (status, lines on stdout, lines on stderr)."""
    done = subprocess.run([*LABS, *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_help_lists_the_commands_and_loads_nothing_heavy():
    script = (
        "import sys; from labhelpers import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'torch', 'papermill', 'pandas', 'numpy', 'yaml'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert all(command in done.stdout for command in ("run", "record", "exercises", "doctor"))


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "required: COMMAND"),
        (["rnu"], "invalid choice"),
        (["run", "--nonsense"], "--nonsense"),
        (["run", "-p", "seed"], "-p"),
        (["run", "09"], "unknown notebook '09'"),
        (["run", "--profile", "tinny"], "unknown profile 'tinny': did you mean 'tiny'"),
        (["run", "-p", "sede", "1"], "declares parameter 'sede': did you mean 'seed'"),
        (["run", "-p", "seed", "x"], "'seed' must be like 0"),
        (["run", "-p", "seed", "1", "-p", "seed", "2"], "'seed' is given twice"),
        (["record", "09"], "unknown notebook '09'"),
    ],
)
def test_arguments_that_cannot_be_used_exit_with_2_and_one_line(write_notebook, capsys, arguments, words):
    write_notebook("01_first")
    try:
        status = cli.main(arguments)
    except SystemExit as end:  # argparse's own way
        status = end.code
    shown = capsys.readouterr()
    assert status == 2 and shown.out == ""
    assert re.fullmatch(f"labs: .*{re.escape(words)}.*\n", shown.err)


def test_a_run_says_where_things_are(write_notebook, tmp_path):
    write_notebook("01_first", "import os; os.makedirs(f'{run_dir}/figures')")
    status, shown, errors = labs("run", "01", "--output-dir", tmp_path / "out", "-p", "seed", "3")
    assert (status, errors) == (0, [])
    assert re.fullmatch(r"01_first +\d+\.\d s", shown[0])
    places = {line.rsplit(maxsplit=1)[1] for line in shown if " /" in line}
    assert places == {str(tmp_path / "out" / "notebooks"), str(tmp_path / "out" / "figures")}


def test_a_failure_exits_with_1_and_one_line(write_notebook, tmp_path):
    write_notebook("01_first", "1 / 0")
    status, _, errors = labs("run", "--output-dir", tmp_path / "out")
    assert status == 1
    assert errors == [
        "labs: notebook 01_first failed in cell In [3]: ZeroDivisionError: division by zero; "
        f"executed up to there: {tmp_path / 'out' / 'notebooks' / '01_first.ipynb'}"
    ]


@pytest.mark.parametrize("logger, shown", [("tornado.general", []), ("mine", ["ERROR:mine:seen"])])
def test_what_a_kernels_transport_logs_is_not_shown(write_notebook, tmp_path, logger, shown):
    """As when it is shut down in the middle of an answer; what the notebook itself logs is."""
    code = "import logging, sys; logging.basicConfig(stream=sys.__stderr__)"
    write_notebook("01_first", f"{code}; logging.getLogger({logger!r}).error('seen')")
    status, _, errors = labs("run", "--output-dir", tmp_path / "out")
    assert (status, errors) == (0, shown)


def test_an_output_folder_that_cannot_be_written_exits_with_1_and_one_line(write_notebook, tmp_path, capsys):
    write_notebook("01_first")
    (tmp_path / "file").write_text("")
    assert cli.main(["run", "--output-dir", str(tmp_path / "file" / "out")]) == 1
    assert re.fullmatch("labs: output folder .*choose another folder .*--output-dir.*\n", capsys.readouterr().err)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_exits_with_130_keeps_what_was_executed_and_ends_the_kernel(write_notebook, tmp_path):
    import psutil

    signs = tmp_path / "signs"
    sleeping = f"import os, time; open({str(signs)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    half = "from labhelpers.course.artifacts import Artifacts\nwith Artifacts(run_dir).writing('numbers') as folder:\n"
    half += f"    (folder / 'half').write_text('x'); exec({sleeping!r})"
    write_notebook("01_first", "print('reached')", half)
    out = tmp_path / "out"
    command = [*LABS, "run", "--output-dir", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (signs.exists() and signs.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    executed = out / "notebooks" / "01_first.ipynb"
    assert process.returncode == 130
    assert errors == f"labs: interrupted in notebook 01_first; executed up to there: {executed}\n"
    assert "reached" in json.dumps(json.loads(executed.read_text()))
    assert os.listdir(out / "notebooks") == ["01_first.ipynb"]
    kernel = int(signs.read_text())
    assert not psutil.pid_exists(kernel) or psutil.Process(kernel).status() == psutil.STATUS_ZOMBIE
    assert not (out / "artifacts" / "numbers").exists()


def test_the_summary_has_five_lines(tmp_path):
    results = {"prompts": 300, "toxicity_difference_ci95": [-0.41, -0.28]}
    for name, values in {"toxicity": (0.348, 0.006), "rouge_l": (0.84, 0.95), "coverage": (0.9, 0.91)}.items():
        results |= {f"{name}_before": values[0], f"{name}_after": values[1]}
    results |= {"honesty_before": 0.97, "honesty_after": 0.98, "honesty_difference_ci95": None}
    (tmp_path / "results.json").write_text(json.dumps({"05_before_after": results}))
    assert cli.summary(tmp_path, 192.4) == [
        "toxicity         0.348 → 0.006   95 % CI of the paired difference [-0.410, -0.280]",
        "judge toxicity   not measured",
        "ROUGE-L          0.840 → 0.950",
        "honesty          0.970 → 0.980   (coverage 0.900 → 0.910)",
        "time taken       3 min 12 s, 300 test dialogues",
    ]


def test_a_run_of_the_whole_course_ends_with_the_summary(write_notebook, tmp_path, monkeypatch, capsys):
    write_notebook("05_before_after")
    monkeypatch.setattr("labhelpers.course.execution.run_notebooks", lambda *given, **options: {"05_before_after": 1.0})
    assert cli.main(["run", "--output-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("time taken")


def test_the_doctor_tells_a_healthy_installation_from_one_that_is_not(tmp_path):
    import hashlib

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").write_text("{}\n")
    digest = hashlib.sha256(b"{}\n").hexdigest()
    (tmp_path / "data" / "README.md").write_text(f"| `a.jsonl` | 1 row | `{digest}` |\n")
    findings = {finding.what: finding for finding in doctor.examine(data=tmp_path / "data")}
    assert findings["python"].ok and findings["packages"].ok, findings["packages"].found
    assert findings["data"] == doctor.Finding("data", "1 files as listed in the data card", True)

    (tmp_path / "data" / "a.jsonl").write_text("[]\n")
    (tmp_path / "constraints.txt").write_text("torch==1.0.0\nrouge-score==0.0.1\n")
    findings = {f.what: f for f in doctor.examine(tmp_path / "constraints.txt", tmp_path / "data")}
    assert not findings["data"].ok and "a.jsonl" in findings["data"].found
    assert not findings["packages"].ok and "instead of 1.0.0" in findings["packages"].found
    assert "rouge-score" in findings["packages"].found


def test_the_doctor_exits_with_1_when_something_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("data", "a.jsonl changed", False)])
    assert cli.main(["doctor"]) == 1
    assert capsys.readouterr().out == "NOT OK  data: a.jsonl changed\n"
