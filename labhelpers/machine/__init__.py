"""Checks of the machine: can it run the course, what is to be downloaded, and what would the full-size models need?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"doctor": ["examine"]})
