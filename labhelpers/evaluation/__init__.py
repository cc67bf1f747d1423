"""Measuring policies: toxicity, ROUGE, honesty and coverage per prompt, and intervals for their differences."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "intervals": ["Interval", "bootstrap_mean", "formatted", "holm", "mean_over_seeds", "paired_bootstrap"],
        "before_after": [
            "compare",
            "measure_summaries",
            "reward_table",
            "rouge_l",
            "summary_results",
        ],
        "best_of_n": ["best_of_n", "best_of_n_kl"],
        "facts": ["FactVocabulary", "coverage", "honesty"],
        "gold": ["GoldReward"],
        "lexicon": ["Lexicon"],
    },
)
