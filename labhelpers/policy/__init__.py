"""The policy: a language model with a frozen reference and a value head, and how it generates; text classifiers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "model": ["Policy"],
        "finetuning": ["SFTTrainer"],
        "loading": [
            "default_targets",
            "init_adapter",
            "load_base",
            "load_policy",
            "load_policy_from",
            "load_tokenizer",
            "make_policy",
        ],
        "rollout": ["Rollout", "generate", "generate_texts"],
        "parameters": ["print_number_of_trainable_model_parameters"],
        "sampling": ["GREEDY", "LengthSampler", "permutation", "Sampling"],
        "classifier": ["load_classifier"],
    },
)
