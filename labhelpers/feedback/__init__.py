"""Human feedback: reading rankings in several formats, making pairs from them, and a widget for ranking responses."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "rankings": [
            "add_rankings",
            "agreement",
            "load_preferences",
            "load_rankings",
            "read_rankings",
            "split_by_prompt",
            "to_pairs",
        ],
        "labeller": ["Labeller", "RankingFile"],
    },
)
