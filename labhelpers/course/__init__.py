"""The machinery behind the notebooks: the course map, profiles, artifacts, and what executes and records them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "experiments": ["load_experiment", "own_rows"],
        "run": ["Run", "read_results", "record", "start"],
        "artifacts": ["Artifacts"],
        "profiles": ["Profile", "load_profile"],
    },
)
