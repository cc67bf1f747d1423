"""What is claimed of a policy: measures per prompt, and intervals for their differences."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "intervals": ["Interval", "bootstrap_mean", "formatted", "paired_bootstrap"],
        "before_after": [
            "MEASURES",
            "compare",
            "measure_summaries",
            "reward_table",
            "rouge_l",
            "summary_results",
            "was_clean",
        ],
        "facts": ["FactVocabulary", "coverage", "honesty"],
        "lexicon": ["Lexicon"],
    },
)
