"""Human feedback (notebook on human feedback): its forms on disk, rankings and their pairs, ranking by clicking."""

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
