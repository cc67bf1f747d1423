"""The options `--profile` and `-p NAME VALUE` of all commands. It imports very little, so that `--help` is quick."""

from __future__ import annotations

import argparse
from typing import Any

from labhelpers.errors import UsageError


def add_profile_options(command: argparse.ArgumentParser) -> None:
    """Declares both options; `given_parameters` reads the values of `-p`."""
    command.add_argument(
        "--profile",
        default="tiny",
        help="tiny (laptop, offline), smol (a small real model) or full (default: %(default)s)",
    )
    command.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a parameter of the notebooks or a setting of the profile, for example -p ppo_steps 20; a local path or "
        "glob is relative to the current folder",
    )


def given_parameters(options: argparse.Namespace) -> dict[str, Any]:
    """The parameters given with `-p`, `{name: value}`.

    Raises UsageError for a name that is given twice, ProfileError for a text that is not a YAML value.
    """
    from labhelpers.course.parameters import parse_value

    parameters: dict[str, Any] = {}
    for name, text in options.parameters:
        if name in parameters:
            raise UsageError(f"parameter {name!r} is given twice")
        parameters[name] = parse_value(name, text)
    return parameters
