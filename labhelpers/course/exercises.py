"""Learner copies of the notebooks: everything as in the course, with the solutions cut out.

A solution stands between the lines `# solution` and `# end solution` of a code cell. In the copy its functions keep
their first line and their docstring and raise NotImplementedError, and the names that it assigns become None, so that
the copy still runs from top to bottom: the checks say "nothing there yet", and the later cells do not need the answers.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Collection, Iterator
from pathlib import Path

from labhelpers.course.notebooks import find_notebooks, notebooks_dir
from labhelpers.course.published import carry_links, site_address
from labhelpers.errors import LabError, NotebookError, UsageError, storage_advice
from labhelpers.files import writable_folder, write_atomically

_SOLUTION = re.compile(r"^# solution *\n(.*?)^# end solution *$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^\s*# (end )?solution *$", re.MULTILINE)


def write_exercises(folder: str | Path, *, notebooks: str | Path | None = None, force: bool = False) -> list[Path]:
    """Write a learner copy of every notebook of the course into `folder`; the files written.

    Raises UsageError for a file that is there already, unless `force`, and for the folder of the notebooks
    themselves; NotebookError for a notebook that cannot be cut. In both cases nothing has been written.
    """
    sources = find_notebooks((), notebooks)
    out = Path(folder).expanduser().absolute()
    if out.resolve() == notebooks_dir(notebooks):
        raise UsageError(f"{out} holds the notebooks themselves: choose another folder for the learner copies")
    targets = {out / source.name: source for source in sources}
    there = [target.name for target in targets if target.exists()]
    if there and not force:
        raise UsageError(
            f"{', '.join(there)} in {out} would be overwritten, with whatever was answered there: choose another "
            "folder, or say --force"
        )
    beside = [target.name for target in targets]
    texts = {target: learner_copy(source, beside) for target, source in targets.items()}
    writable_folder(out)
    for target, text in texts.items():
        try:
            write_atomically(target, text)
        except OSError as error:
            raise LabError(f"{target} cannot be written: {storage_advice(error) or error}") from error
    return list(texts)


def learner_copy(notebook: str | Path, beside: Collection[str] = ()) -> str:
    """The text of a notebook file without its outputs and its solutions. Ids, tags and other metadata stay.

    `beside` are the names of the files that will be in the same folder. Links to others lead to the course's website
    (LABHELPERS_SITE) or are links no more.
    """
    import nbformat

    notebook = Path(notebook)
    try:
        document = nbformat.read(notebook, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise NotebookError(f"{notebook} cannot be read as a notebook: {str(error).splitlines()[0]}") from None
    address = site_address()
    for number, cell in enumerate(document.cells, start=1):
        if cell.cell_type == "markdown":
            cell.source = carry_links(cell.source, beside, address)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            try:
                cell.source = cut_solutions(cell.source)
            except NotebookError as error:
                raise NotebookError(error.reason, notebook=notebook.stem, cell=number) from None
    return nbformat.writes(document).rstrip("\n") + "\n"


def cut_solutions(source: str) -> str:
    """The source of a cell with a placeholder for every solution. Raises NotebookError for a mark without its
    counterpart and for a solution that is no Python."""
    cut = _SOLUTION.sub(lambda found: placeholder(found[1]), source)
    if left := _MARK.search(cut):
        raise NotebookError(
            f"a line {left[0].strip()!r} is alone: a solution begins with a line '# solution' and ends with a line "
            "'# end solution', neither indented"
        )
    return cut


def placeholder(solution: str) -> str:
    """What a learner finds in the place of a solution: its functions without their bodies, and None for the names it
    assigns. Imports stay; everything else goes."""
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
