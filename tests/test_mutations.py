"""The tests notice when the code is wrong; see `mutations`."""

import pytest

from tests.mutations import MUTATIONS, ROOT, survives


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.breaks)
def test_every_mutation_still_applies(mutation):
    source = (ROOT / "labhelpers" / mutation.file).read_text(encoding="utf-8")
    assert source.count(mutation.text) == 1
    compile(source.replace(mutation.text, mutation.wrong), mutation.file, "exec")


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.breaks)
def test_the_tests_catch_it(mutation):
    assert survives(mutation) is None
