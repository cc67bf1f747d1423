"""labhelpers: the code that the notebooks of the RLHF course share.

Importing the package is quick: torch, transformers and pandas are imported only by the modules that need them, and the
names below are loaded on first use.
"""

__version__ = "0.1.0"

_LAZY = {
    "start": "course.run",
    "record": "course.run",
    "Run": "course.run",
    "Artifacts": "course.artifacts",
    "Profile": "course.profiles",
    "load_profile": "course.profiles",
    "data_dir": "sources.locations",
    "LabError": "errors",
}
__all__ = ["__version__", *_LAZY]


def __getattr__(name):
    if name not in _LAZY:
        raise AttributeError(f"module 'labhelpers' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"labhelpers.{_LAZY[name]}"), name)


def __dir__():
    return sorted({*globals(), *_LAZY})
