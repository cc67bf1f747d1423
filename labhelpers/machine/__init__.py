"""Is this machine fit for the course, and what would the full size take?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"doctor": ["examine"]})
