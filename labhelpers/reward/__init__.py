"""Rewards: how good is a response? By a toxicity classifier, or by a reward model that is learned from rankings."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "toxicity": ["Toxicity", "ToxicityReward", "evaluate_toxicity", "load_toxicity"],
        "model": [
            "RewardModel",
            "format_text",
            "load_reward_model",
            "new_prompted_reward",
            "new_reward_model",
            "pairwise_loss",
        ],
        "ensemble": ["EnsembleReward"],
        "training": ["collate_pairs", "reward_arguments", "train_reward_model", "training_rows", "trl_loss"],
        "evaluation": [
            "ByKind",
            "CRITERIA",
            "KINDS",
            "LongerIsBetter",
            "accuracy_by_kind",
            "accuracy_table",
            "annotator_accuracy",
            "calibration_error",
            "calibration_table",
            "criterion",
            "first_prompts",
            "load_kinds",
            "load_manners",
            "pair_margins",
            "pairwise_accuracy",
            "wrong_by_a_fact",
        ],
    },
)
