"""The notebooks' exercise checks. Each prints one line and, where it can, names the mistake; it returns that `Verdict`,
so that `assert check_returns(my_returns)` works in any grader."""

from labhelpers.checks.before_after import check_fact_scores, check_paired_interval
from labhelpers.checks.finetuning import check_lora_count, check_mask_padding, check_toxic_share
from labhelpers.checks.human_feedback import check_leak, check_pairs_of, check_preferred
from labhelpers.checks.other_methods import (
    check_asks_no_reward,
    check_dpo_loss,
    check_group_advantages,
    check_leave_one_out,
)
from labhelpers.checks.ppo import check_clipped_surrogate, check_gae, check_labs_reward, check_token_rewards
from labhelpers.checks.reward_hacking import check_adaptive_kl, check_best_of, check_without_kl
from labhelpers.checks.reward_model import check_pair_count, check_pairwise_loss, check_shift
from labhelpers.checks.tour import check_best_reward, check_returns
from labhelpers.checks.verdict import Verdict

__all__ = [
    "Verdict",
    "check_adaptive_kl",
    "check_asks_no_reward",
    "check_best_of",
    "check_best_reward",
    "check_clipped_surrogate",
    "check_dpo_loss",
    "check_fact_scores",
    "check_gae",
    "check_group_advantages",
    "check_labs_reward",
    "check_leak",
    "check_leave_one_out",
    "check_lora_count",
    "check_mask_padding",
    "check_pair_count",
    "check_paired_interval",
    "check_pairs_of",
    "check_pairwise_loss",
    "check_preferred",
    "check_returns",
    "check_shift",
    "check_token_rewards",
    "check_toxic_share",
    "check_without_kl",
]
