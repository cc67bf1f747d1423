"""Silences libraries whose messages are not meant for learners."""

from __future__ import annotations

import contextlib
import logging
import warnings

from transformers.utils import logging as hf_logging


@contextlib.contextmanager
def quiet():
    """Inside the `with` block, transformers, trl and accelerate show no advice and no progress bars."""
    loggers = [logging.getLogger(name) for name in ("trl", "transformers", "accelerate")]
    levels = [logger.level for logger in loggers]
    bars = hf_logging.is_progress_bar_enabled()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    hf_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # trl's and transformers' names for the same options differ
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            hf_logging.enable_progress_bar()
