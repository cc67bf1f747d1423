"""Tests and nbval write into runs/nbval, never into the learner's own runs; nbval's kernels are this interpreter."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

_kernels = contextlib.ExitStack()


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background; tests send Ctrl-C to commands
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run_dir = os.environ.get("LABHELPERS_RUN_DIR", str(Path(__file__).parent / "runs" / "nbval"))
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # two workers would overwrite each other's results
        run_dir = str(Path(run_dir, worker))
    os.environ["LABHELPERS_RUN_DIR"] = run_dir
    if config.getoption("--nbval", default=False):
        from labhelpers.course.execution import own_kernel

        _kernels.enter_context(own_kernel(LABHELPERS_RUN_DIR=run_dir))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Under xdist, notebooks that hand artifacts to each other share a worker, in order; the others are free."""
    if not config.getoption("--nbval", default=False):
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByArtifacts(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return _group(nodeid.split("::")[0])

    return ByArtifacts(config, log)


def _group(notebook):
    from labhelpers.course import outline

    chapter = outline.chapter(Path(notebook).stem)
    return "artifacts" if chapter and (chapter.needs or chapter.uses or chapter.makes) else notebook


def pytest_unconfigure(config):
    _kernels.close()


@pytest.fixture
def write_notebook(tmp_path, monkeypatch):
    """A function that writes a throwaway notebook: write_notebook("01_first", *sources, parameters="seed = 0").

    The folder it goes to is where the course's notebooks are looked for during the test.
    """
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setenv("LABHELPERS_NOTEBOOKS", str(folder))

    def write(name, *sources, parameters="profile = 'tiny'\nseed = 0\nrun_dir = None"):
        import nbformat
        from nbformat.v4 import new_code_cell, new_notebook

        cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]}, id="parameters")]
        cells += [new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(sources)]
        kernel = {"name": "python3", "display_name": "elsewhere", "language": "python"}
        path = folder / f"{name}.ipynb"
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
        return path

    return write


@pytest.fixture
def bucket(monkeypatch):
    """An S3 server of the test's own, selected by the usual variables; what is yielded writes into it."""
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3 = fsspec.get_filesystem_class("s3")
        s3.clear_instance_cache()  # it may hold the connection to another test's server
        yield s3(skip_instance_cache=True)
    finally:
        server.stop()
