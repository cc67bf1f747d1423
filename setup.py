"""Everything about the package is in pyproject.toml but one thing: a wheel carries data/ as labhelpers/_data, and
constraints.txt, so that an installed package has the tiny models, the dialogues and the pins that a clone finds beside
it. (What made the data, data/generator/, stays in the clone.)"""

import os
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithData(build_py):
    """Copies data/ and the pins into the package that is built; an editable install reads them in place."""

    def _data(self):
        yield Path("constraints.txt"), Path(self.build_lib, "labhelpers", "constraints.txt")
        root = Path("data")
        for path in sorted(root.rglob("*")):
            if path.is_file() and root / "generator" not in path.parents:
                yield path, Path(self.build_lib, "labhelpers", "_data", path.relative_to(root))

    def run(self):
        super().run()
        if not self.editable_mode:
            for source, target in self._data():
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode=True):
        own = [] if self.editable_mode else [os.fspath(target) for _, target in self._data()]
        return super().get_outputs(include_bytecode) + own


setup(cmdclass={"build_py": BuildWithData})
