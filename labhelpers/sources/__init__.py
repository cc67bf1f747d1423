"""Where dialogues and models come from (a path, the Hub, a bucket), and which device and precision they use."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "dialogues": ["build_dataset", "format_prompt", "load_dialogues", "prompt_ids", "sft_features"],
        "locations": ["data_dir"],
    },
)
