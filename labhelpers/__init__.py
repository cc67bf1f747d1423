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

    try:
        return getattr(import_module(f"labhelpers.{_LAZY[name]}"), name)
    except ModuleNotFoundError as error:  # the first cell of a notebook imports this way: say what to do
        from labhelpers.packages import missing_packages

        if (sentence := missing_packages()) is None:
            raise
        raise ModuleNotFoundError(sentence, name=error.name) from None


def __dir__():
    return sorted({*globals(), *_LAZY})
