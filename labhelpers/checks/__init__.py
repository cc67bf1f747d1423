"""The notebooks' exercise checks. Each prints one line and, where it can, names the mistake."""

from labhelpers.checks.comparison import check_fact_scores, check_paired_interval
from labhelpers.checks.ppo import check_gae, check_token_rewards
from labhelpers.checks.tuning import check_lora_count, check_mask_padding

__all__ = [
    "check_fact_scores",
    "check_gae",
    "check_lora_count",
    "check_mask_padding",
    "check_paired_interval",
    "check_token_rewards",
]
