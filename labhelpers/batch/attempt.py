"""One run on the machine that carries it out: start its process, watch it, and say in one row how it ended.

Whatever goes wrong, :func:`execute` returns a row: ``status`` (see STATUSES), ``reason``, the notebook and cell where
it ended and the last lines there, seconds, memory, the recorded results, and for submissions the checks' verdicts.
"""

from __future__ import annotations

import contextlib
import html
import io
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import labhelpers
from labhelpers.batch import warm
from labhelpers.batch.runner import JOB, PROGRESS, SOURCES, end_children, read_progress
from labhelpers.errors import storage_advice
from labhelpers.files import write_atomically

STATUSES = ("finished", "failed", "kernel died", "timeout", "over limit", "disk full", "worker lost", "refused")
LOG = "runner.log"
DISK_GB, FILES, PROCESSES = 2, 20_000, 200  # what one submission may use
LAST_LINES = 12
VERDICT = re.compile(r"^(check_\w+): (right\.|not yet\..*)$", re.MULTILINE)
_LOOK_EVERY = 0.25
_LARGE = 50_000_000  # bytes of a file that is still read
_stopped: set[str] = set()


@dataclass(frozen=True)
class Job:
    """A run as it travels to a worker. ``folder``: where it works and stays, None for a worker without that folder;
    ``address``: where an fsspec storage takes it; neither: it comes back inside the row."""

    id: str
    batch: str
    notebooks: list[str]
    files: dict[str, bytes]
    profile: str
    parameters: dict
    version: str
    threads: int
    timeout_minutes: float | None = None
    memory_gb: float | None = None
    student: str | None = None
    isolate: bool = False
    folder: str | None = None
    address: str | None = None
    missing: list[str] = field(default_factory=list)


def execute(job: Job) -> dict:
    """Carry out one run and return its row. Never raises for what the run does."""
    began = time.time()
    row = {"id": job.id, "status": "failed", "reason": "", "notebook": None, "cell": None, "last_lines": []}
    row |= {"worker": socket.gethostname(), "started": began, "parameters": job.parameters, "student": job.student}
    row |= {"executed": None, "results": {}, "verdicts": {}, "notebook_seconds": {}, "missing": job.missing}
    row |= {"version": labhelpers.__version__, "peak_memory_gb": None, "isolated": job.isolate}
    if job.version != labhelpers.__version__:
        reason = f"the worker has labhelpers {labhelpers.__version__}, the batch {job.version}"
        return row | {"status": "refused", "reason": reason, "seconds": 0.0}
    temporary = None if job.folder else tempfile.mkdtemp(prefix="labs-run-")
    folder = Path(job.folder or temporary).resolve()
    try:
        _carry_out(job, folder, row)
        if job.address:
            _upload(folder, job.address)
        elif temporary:
            row["archive"] = _packed(folder)
    except Exception as error:  # a full disk, a storage out of reach: one row, not the end of the batch
        advice = storage_advice(error)
        row["status"] = "disk full" if advice and re.search("full|quota", advice) else "failed"
        row["reason"] = f"{folder}: {advice}" if advice else f"{type(error).__name__}: {error}"
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
    return row | {"seconds": time.time() - began}


def stop(batch: str) -> None:
    """End the runs of a batch in this process, as Ctrl-C asks for; what they have reached stays for the next time."""
    _stopped.add(batch)


def _carry_out(job: Job, folder: Path, row: dict) -> None:
    if job.student is not None:
        shutil.rmtree(folder, ignore_errors=True)  # what an earlier attempt left may be a trap
    _prepare(job, folder)
    with tempfile.TemporaryDirectory(prefix="labs-root-") as root:
        ended, row["peak_memory_gb"] = _run(job, folder, Path(root).resolve())
    if job.student is not None:
        _only_plain_files(folder)
    _keep_drafts(folder)
    if job.student is not None:
        _only_asked_for(folder / "notebooks", job.notebooks)
    progress = read_progress(folder)
    row["notebook_seconds"] = {name: took for name, took in progress["seconds"].items() if name in job.notebooks}
    row["results"] = _results(folder) if job.student is None else {}  # a stranger's numbers are no results
    failures = progress["failures"]
    if (
        ended is None
        and not failures
        and progress["running"] is None
        and set(job.notebooks) <= progress["seconds"].keys()
    ):
        row["status"] = "finished"
    else:
        row["status"], row["reason"] = ended or _kind(failures, progress, folder)
        row["notebook"] = failures[0][0] if failures else progress["running"]
        _say_where(row, folder)
    if job.student is not None:
        row["verdicts"] = _verdicts(folder, job.notebooks)
    if job.missing:
        row["status"] = "failed" if row["status"] == "finished" else row["status"]
        row["reason"] = "; ".join(filter(None, [row["reason"], f"not handed in: {', '.join(job.missing)}"]))
    write_pages(folder, sanitize=job.student is not None)
    for leftover in (SOURCES, JOB, LOG, "cache"):
        _remove(folder / leftover)
    if row["status"] == "finished":
        _remove(folder / PROGRESS)


def _prepare(job: Job, folder: Path) -> None:
    sources = folder / SOURCES
    _remove(sources)
    sources.mkdir(parents=True)
    for name, content in job.files.items():
        if job.student is not None and name.endswith(".ipynb"):
            content = _go_on_after_errors(content)
        (sources / name).write_bytes(content)
    # The system counts threads, and on older ones all of the user's: far above PROCESSES, which is watched from here.
    limits = {"memory_gb": job.memory_gb or 4, "disk_gb": DISK_GB, "processes": 4096}
    limits = limits if job.student is not None else None
    order = {"notebooks": job.notebooks, "profile": job.profile, "parameters": job.parameters, "limits": limits}
    (folder / JOB).write_text(json.dumps(order | {"keep_going": job.student is not None}), encoding="utf-8")


def _run(job: Job, folder: Path, root: Path) -> tuple[tuple[str, str] | None, float]:
    """Run the process to its end: (status and reason if it was ended from here, memory at its peak in GB)."""
    from labhelpers.batch.isolation import environment, isolated

    # -P: a submission's folder must not be able to replace a module of ours.
    command = [sys.executable, "-P", "-m", "labhelpers.batch.runner", str(folder)]
    variables = dict(os.environ)
    if job.student is not None:
        variables = environment()
    if job.isolate:
        command = isolated(command, folder, root)
    count = str(job.threads)
    variables |= {name: count for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    with open(folder / LOG, "wb") as log:
        # Its standard input ends when this process does, however it does, and the run ends with it.
        process = None
        if job.student is None and warm.available():
            with contextlib.suppress(OSError):
                process = warm.start(folder, variables, log, job.threads)
        if process is None:
            options = {"stdin": subprocess.PIPE, "stdout": log, "stderr": log, "start_new_session": True}
            process = subprocess.Popen(command, env=variables, cwd=folder, **options)
        try:
            return _watch(process, job, folder)
        finally:
            end_children(process.pid)
            process.kill()
            process.wait()
            process.stdin.close()


def _watch(process: subprocess.Popen, job: Job, folder: Path) -> tuple[tuple[str, str] | None, float]:
    began, peak, next_disk = time.monotonic(), 0.0, 0.0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_EVERY)
            return None, peak
        memory, processes = _use(process.pid)
        peak = max(peak, round(memory, 3))
        took = time.monotonic() - began
        if job.batch in _stopped:
            return ("interrupted", "the batch was interrupted"), peak
        if job.timeout_minutes and took > job.timeout_minutes * 60:
            return ("timeout", f"not done after {job.timeout_minutes:g} minutes"), peak
        if job.memory_gb and memory > job.memory_gb:
            return ("over limit", f"it took {memory:.1f} GB of memory, more than {job.memory_gb:g}"), peak
        if job.student is not None:
            if processes > PROCESSES:
                return ("over limit", f"it started more than {PROCESSES} processes"), peak
            if took > next_disk:
                next_disk = took + 2
                size, files = _disk(folder)
                if size > DISK_GB or files > FILES:
                    return ("over limit", f"it wrote more than {DISK_GB} GB or {FILES} files"), peak


def _use(pid: int) -> tuple[float, int]:
    """Resident memory in GB and number of the processes that descend from ``pid``, itself included."""
    import psutil

    memory = processes = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                memory += _resident(one)
                processes += 1
    return memory / 2**30, processes


def _resident(process) -> int:
    """Bytes in memory; what forked processes share counts once between them, where the system can say (Linux)."""
    if sys.platform == "linux":
        return process.memory_full_info().pss
    return process.memory_info().rss


def _disk(folder: Path) -> tuple[float, int]:
    size = files = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(parent, name)).st_size
            files += 1
    return size / 2**30, files


def _only_plain_files(folder: Path) -> None:
    """Remove links, pipes and huge files from a submission's folder: reading them might lead anywhere, or nowhere."""
    for parent, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = os.path.join(parent, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISDIR(mode):
                os.chmod(path, 0o755)
            elif not stat.S_ISREG(mode) or os.lstat(path).st_nlink > 1 or os.lstat(path).st_size > _LARGE:
                os.unlink(path)


def _only_asked_for(folder: Path, notebooks: list[str]) -> None:
    """Remove whatever else a submission has put beside its executed notebooks, such as a page with scripts."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix != ".ipynb" or path.stem not in notebooks:
            _remove(path)


def _keep_drafts(folder: Path) -> None:
    """Put the notebook that was running when the process was ended where an executed one is looked for."""
    for draft in (folder / "notebooks").glob(".*.ipynb"):
        name = re.fullmatch(r"\.(.+)\.\d+\.ipynb", draft.name)
        if name and _cells(draft) is not None:
            os.replace(draft, draft.with_name(f"{name.group(1)}.ipynb"))
        else:
            draft.unlink()


def _kind(failures: list, progress: dict, folder: Path) -> tuple[str, str]:
    """Status and reason of a run that ended by itself without being done."""
    if not failures:
        if not (folder / LOG).is_file():
            return "failed", "its process ended early"
        lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return "failed", f"its process ended early: {lines[-1] if lines else 'it was killed'}"
    reason = " ".join(str(failures[0][1]).split())
    reason = re.sub(r"; (executed up to there: .*|nothing of it was saved)$", "", reason)[:1000]
    if re.search(r"disk is full|quota is used up|No space left|Disk quota exceeded", reason):
        return "disk full", reason
    return "kernel died" if "its kernel died" in reason else "failed", reason


def _say_where(row: dict, folder: Path) -> None:
    """The cell in which a notebook ended, and the last lines that it showed."""
    path = folder / "notebooks" / f"{row['notebook']}.ipynb"
    cells = _cells(path)
    if cells is None:
        return
    row["executed"] = f"notebooks/{path.name}"
    code = [cell for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]
    said = re.search(r"failed in cell In \[(\d+)\]", row["reason"])
    for number, cell in enumerate(code, 1):
        number = cell.get("execution_count") or number
        outputs = cell.get("outputs", [])
        wrong = any(output["output_type"] == "error" for output in outputs)
        wrong = wrong or cell["metadata"].get("papermill", {}).get("status") in ("failed", "running")
        if number == int(said.group(1)) if said else wrong:
            text = "\n".join(_text(output) for output in outputs)
            row["cell"] = f"In [{number}]"
            row["last_lines"] = [line[:300] for line in text.splitlines() if line.strip()][-LAST_LINES:]
            return


def _text(output: dict) -> str:
    if output["output_type"] == "stream":
        text = "".join(output["text"])
    elif output["output_type"] == "error":
        text = "\n".join(output["traceback"])
    else:
        text = "".join(output.get("data", {}).get("text/plain", ""))
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _verdicts(folder: Path, notebooks: list[str]) -> dict[str, dict[str, str]]:
    """What the checks have printed, ``{notebook: {check: "right." or "not yet. …"}}``, the last of each."""
    return {
        name: dict(VERDICT.findall("\n".join(_text(o) for cell in cells for o in cell.get("outputs", [])))[-200:])
        for name in notebooks
        if (cells := _cells(folder / "notebooks" / f"{name}.ipynb"))
    }


def _results(folder: Path) -> dict:
    try:
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in results.items() if isinstance(v, dict)} if isinstance(results, dict) else {}


def write_pages(folder: Path, sanitize: bool, again: bool = True) -> None:
    """An HTML page beside every executed notebook of a run; ``again=False``: only where there is none."""
    for notebook in sorted((folder / "notebooks").glob("*.ipynb")):
        page = notebook.with_suffix(".html")
        if page.exists() and not again:
            continue
        from labhelpers.batch.pages import notebook_page

        try:
            text = notebook_page(notebook, sanitize)
        except Exception as error:  # a file that is called a notebook may hold anything
            text = f"<!doctype html><title>{html.escape(notebook.stem)}</title><p>Not shown: {type(error).__name__}</p>"
        write_atomically(page, text)


def _go_on_after_errors(content: bytes) -> bytes:
    """Tag every cell so that a learner's error in one exercise does not hide the verdicts on the next."""
    try:
        notebook = json.loads(content)
        for cell in notebook["cells"]:
            tags = cell.setdefault("metadata", {}).setdefault("tags", [])
            if cell["cell_type"] == "code" and "raises-exception" not in tags:
                tags.append("raises-exception")
        return json.dumps(notebook).encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return content  # no notebook: it will be said when it is run


def _cells(notebook: Path) -> list | None:
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return cells if isinstance(cells, list) else None


def _packed(folder: Path) -> bytes:
    """A run's folder as it comes back through the scheduler."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(folder, ".")
    return packed.getvalue()


def _upload(folder: Path, address: str) -> None:
    import fsspec

    fs, root = fsspec.core.url_to_fs(address)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        target = f"{root}/{path.relative_to(folder).as_posix()}"
        fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        fs.put_file(str(path), target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
