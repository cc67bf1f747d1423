"""What a check says, for the tests of the checks."""


def said(capsys, check, *answer):
    """The one line that a check prints of an answer, after making sure that its verdict says the same."""
    verdict = check(*answer)
    shown = capsys.readouterr().out
    assert shown == f"{verdict}\n" and shown.count("\n") == 1
    assert verdict.check == check.__name__ and shown == f"{verdict.check}: {verdict.message}\n"
    assert bool(verdict) == (verdict.message == "right.")
    return shown.strip()
