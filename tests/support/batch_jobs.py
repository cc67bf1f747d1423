"""Runs as they travel to a worker, for the tests of what a worker does with them."""

import labhelpers
from labhelpers.batch.attempt import Job


def job(place, *notebooks, **changes):
    """A run of these notebook files in the folder `place`; `changes` are fields of Job."""
    given = {"id": "a1", "batch": "b", "notebooks": [path.stem for path in notebooks], "profile": "tiny"}
    given |= {"files": {path.name: path.read_bytes() for path in notebooks}, "parameters": {}, "threads": 1}
    given |= {"version": labhelpers.__version__, "folder": str(place)}
    return Job(**(given | changes))
