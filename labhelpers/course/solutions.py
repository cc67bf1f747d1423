"""Solutions in the cells of a notebook, and what a learner finds in their place.

A solution stands between the lines `# solution` and `# end solution` of a code cell, or between `### BEGIN SOLUTION`
and `### END SOLUTION`, which nbgrader knows too; capitals and spaces do not matter. In a learner copy its functions
keep their first line and their docstring and raise NotImplementedError, and the names that it assigns become None, so
that the copy still runs from top to bottom: the checks say "nothing there yet", and the later cells do not need the
answers.

Nothing is handed out that may hold an answer: a comment that looks like a mark and is none is refused, and every cell
that was cut is searched for what it should no longer hold.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from labhelpers.course.notebooks import parse_code
from labhelpers.errors import NotebookError
from labhelpers.sources.locations import unix_lines

_MARK = re.compile(r"#+\s*(?:(begin|end)\s+)?solution\s*", re.IGNORECASE)  # \s is also a no-break space
_MARK_BEHIND_CODE = re.compile(rf".*\S.*?{_MARK.pattern}", re.IGNORECASE)
_LOOKALIKE_WORDS = 4  # "end of the solution"; a longer comment is a sentence
# What a placeholder itself may consist of: no answer is given away by these.
_EMPTY_STATEMENTS = {"raise NotImplementedError", "raise NotImplementedError()", "pass", "return", "return None"}


def cut_solutions(source: str) -> str:
    """The source of a cell with a placeholder for every solution.

    Raises NotebookError for a mark without its counterpart, for a comment that looks like a mark and is none, for a
    solution that is no Python, and when something of a solution would be left.
    """
    pieces = split_at_marks(source)
    cut = "\n".join(placeholder(text) if solved else text for solved, text in pieces)
    _prove_cut(cut, pieces)
    return cut


def without_solutions(source: str) -> str:
    """The source of a cell without its solutions and their marks; raises NotebookError like `split_at_marks`."""
    return "\n".join(text for solved, text in split_at_marks(source) if not solved).strip("\n")


def split_at_marks(source: str) -> list[tuple[bool, str]]:
    """A cell cut at its marks: (whether it is a solution, its lines), in order, without the marks.

    Raises NotebookError for a mark without its counterpart, and for a comment that looks like a mark and is none.
    """
    pieces: list[tuple[bool, list[str]]] = []
    solved = False
    mark = ""
    for line in unix_lines(source).split("\n"):
        found = _MARK.fullmatch(line)
        if found is None:
            _refuse_lookalike(line)
            if not pieces or pieces[-1][0] != solved:
                pieces.append((solved, []))
            pieces[-1][1].append(line)
            continue
        ends = (found[1] or "").lower() == "end"
        if ends != solved:
            raise _alone(line.strip())
        solved, mark = not ends, line.strip()
        if solved:
            pieces.append((True, []))
    if solved:
        raise _alone(mark)
    return [(solved, "\n".join(lines)) for solved, lines in pieces]


def _alone(mark: str) -> NotebookError:
    return NotebookError(
        f"a line {mark!r} is alone: a solution begins with a line '# solution' and ends with a line '# end solution', "
        "neither indented"
    )


def _refuse_lookalike(line: str) -> None:
    """Raises NotebookError for a line that somebody may have meant as a mark: what it marks would be handed out."""
    comment = line.strip()
    words = re.findall(r"\w+", comment.lower())
    meant = comment.startswith("#") and len(words) <= _LOOKALIKE_WORDS and any("solution" in word for word in words)
    if meant or _MARK_BEHIND_CODE.fullmatch(line):
        raise NotebookError(
            f"a line {comment!r} looks like the mark of a solution and is none: a mark is a line of its own, "
            "'# solution' or '# end solution', neither indented"
        )


def _prove_cut(cut: str, pieces: list[tuple[bool, str]]) -> None:
    """Raises NotebookError when the cell `cut` still holds a statement of one of its solutions, at any depth, that is
    more than an import, a first line of a function, a docstring or a None."""
    solutions = [text for solved, text in pieces if solved]
    if not solutions:
        return
    secret = {code for text in solutions for code in _answers(ast.parse(text))}
    given = {code for solved, text in pieces if not solved for code in _answers_of_cell(text)}
    if left := (secret - given) & _answers_of_cell(cut):
        raise NotebookError(f"of the solution, {min(left)!r} would be left in the copy: write it in another way")


def _answers_of_cell(source: str) -> set[str]:
    """`_answers` of a part of a cell; of one that is no Python by itself (a magic of the whole cell), its lines."""
    try:
        return set(_answers(parse_code(source)))
    except SyntaxError:
        return {line.strip() for line in source.split("\n")}


def _answers(tree: ast.Module) -> Iterator[str]:
    """Every statement that could hold an answer, as normal code."""
    headings = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef)
    documentation = {id(node.body[0]) for node in ast.walk(tree) if _is_documented(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not isinstance(node, headings) and id(node) not in documentation:
            code = ast.unparse(node)
            if code not in _EMPTY_STATEMENTS and not _assigns_nothing(node):
                yield code


def _is_documented(node: ast.AST) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node) is not None


def _assigns_nothing(node: ast.stmt) -> bool:
    """Whether it is what a placeholder consists of: a name that becomes None, or a dictionary of None."""
    value = getattr(node, "value", None) if isinstance(node, ast.Assign) else None
    values = value.values if isinstance(value, ast.Dict) else [value]
    return bool(values) and all(isinstance(one, ast.Constant) and one.value is None for one in values)


def placeholder(solution: str) -> str:
    """What a learner finds in the place of a solution: its functions without their bodies, and None for the names it
    assigns. Imports stay; everything else goes. Raises NotebookError for a solution that is no Python."""
    try:
        statements = ast.parse(solution).body
    except SyntaxError as error:
        raise NotebookError(f"the solution is no Python (its line {error.lineno}): {error.msg}") from None
    comments = _comments(solution)
    lines = []
    assigned = set()
    for statement in statements:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            lines.append(ast.unparse(statement))
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines += [f"# TODO: write {statement.name}", ast.unparse(_stub(statement))]
        elif names := [name for name in _assigned_names(statement) if name not in assigned]:
            assigned |= set(names)
            value = _empty(statement.value) if len(names) == 1 else "None"
            comment = comments.get(statement.end_lineno, "")
            lines += ["# TODO: your answer", f"{' = '.join(names)} = {value}  {comment}".rstrip()]
    return "\n".join(lines) or "# TODO: your code"


def _stub(function: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.FunctionDef | ast.AsyncFunctionDef:
    documentation = function.body[:1] if ast.get_docstring(function) is not None else []
    function.body = [*documentation, *ast.parse("raise NotImplementedError").body]
    return function


def _assigned_names(statement: ast.stmt) -> Iterator[str]:
    """The names that an assignment binds, `a` and `b` in `a, b = 1, 2`; none for any other statement."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    for target in targets:
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _empty(value: ast.expr | None) -> str:
    """None; for a dictionary its keys with None, since its form belongs to the question and not to the answer."""
    if isinstance(value, ast.Dict) and value.keys and all(isinstance(key, ast.Constant) for key in value.keys):
        return "{" + ", ".join(f"{_quoted(key.value)}: None" for key in value.keys) + "}"
    return "None"


def _quoted(key) -> str:
    return f'"{key}"' if isinstance(key, str) and key.isidentifier() else repr(key)


def _comments(source: str) -> dict[int, str]:
    """Line number -> the comment at the end of that line."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
