"""The figures that the notebooks draw, all in one style. Each function returns a matplotlib Figure."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "style": ["show", "use_style"],
        "progress": ["progress"],
        "training": ["LiveCurves", "run_curves", "token_view", "training_curves"],
        "before_after": ["intervals", "paired_differences", "policies", "repetitions", "seeds"],
        "frontier": ["costs", "reward_against_kl"],
        "over_optimisation": ["over_optimisation"],
        "reward": ["calibration", "learning_curve", "margin_histograms", "ranking_to_pairs"],
        "course_map": ["pipeline"],
        "diagrams": ["agent_and_environment", "ppo_loop", "reward_model_training"],
    },
)
