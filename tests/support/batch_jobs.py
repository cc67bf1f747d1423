"""Jobs, which a batch sends to a worker, for the tests of workers."""

import labhelpers
from labhelpers.batch.outcome import RunOutcome
from labhelpers.batch.supervisor import Job


def job(place, *notebooks, parameters=None, **changes):
    """The Job that runs these notebook files in the folder `place`; `changes` replace fields of it."""
    todo = RunOutcome("a1", parameters=parameters or {}, notebooks=[path.stem for path in notebooks])
    given = {"todo": todo, "batch": "b", "profile": "tiny", "threads": 1, "folder": str(place)}
    given |= {"files": {path.name: path.read_bytes() for path in notebooks}, "version": labhelpers.__version__}
    return Job(**(given | changes))
