"""Code that is only there for speed. Every piece has a plain counterpart, and a test compares the two.

    here             plain
    operations       the model's own norms and GELU
    low_rank         peft's own LoRA layer
    logprobs         the logits of all tokens at once
    passes           all rows in their order, as many at a time as were asked for
    cache            transformers' DynamicCache
    products         the layers one by one
    t5_decoding      the model's own forward pass (`CacheDecoding`)

The environment variable `LABHELPERS_PLAIN=1` switches all of it off: to see whether a strange result comes from here,
or to step through the plain code. It must be set before a model is loaded, and the numbers agree up to rounding.
"""

import os


def plain() -> bool:
    """Whether `LABHELPERS_PLAIN=1` asks to do without everything in this folder."""
    return os.environ.get("LABHELPERS_PLAIN") == "1"
