"""A widget to rank responses by clicking in a notebook. Every answer is saved at once.

The file has one answer a line in the format of Ground Truth and A2I (see `labhelpers.feedback.formats`), as a labelling
job writes it; `load_rankings` reads it back.
"""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import ipywidgets

from labhelpers.errors import DataError, LabError, storage_advice
from labhelpers.feedback.formats import Ranking, answers
from labhelpers.sources.locations import read_records, text_problem


class RankingFile:
    """The answers of one annotator in a .jsonl file: appended whole, never rewritten; the last answer to an item
    counts. The file may hold other annotators' answers too."""

    def __init__(self, path: str | Path, annotator: str):
        if not annotator.strip():
            raise LabError("the annotator needs a name: it tells your answers from other people's.")
        self.path, self.annotator = Path(path), annotator

    def read(self) -> dict[tuple, dict[str, int]]:
        """This annotator's answers, `{item key: {response: rank}}`. Raises DataError for a line that is no answer."""
        if not self.path.exists():
            return {}
        found = {}
        for record in read_records(self.path):
            for answer in answers(record):
                if not isinstance(answer, Ranking):
                    raise DataError(f"{answer.reason}. Correct or remove this line", file=answer.file, line=answer.line)
                if answer.annotator == self.annotator:
                    key = _key(answer.prompt, answer.responses)
                    found[key] = dict(zip(answer.responses, answer.ranks, strict=True))
        return found

    def append(self, prompt: str, responses: list[str], ranks: Mapping[str, int]) -> None:
        """Adds one answer; on disk when this returns. Raises LabError, with the file as it was, if that fails."""
        content = {f"ranking_{number}": str(ranks[text]) for number, text in enumerate(responses, start=1)}
        line = {
            "inputContent": {"taskObject": {"prompt": prompt, "responses": responses}},
            "humanAnswers": [{"answerContent": content, "workerId": self.annotator}],
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab+") as file:
                before = file.tell()
                file.seek(max(before - 1, 0))
                start = "" if file.read(1) in (b"", b"\n") else "\n"  # the last line may lack its line break
                try:
                    file.write((start + json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8"))
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    os.truncate(self.path, before)
                    raise
        except OSError as error:
            raise LabError(f"the answer is not saved: {self.path}: {storage_advice(error) or error}") from error


class Labeller(ipywidgets.VBox):
    """Shows items one by one: click the responses from best to worst, and the ranking is saved.

    `items` are `{"prompt": str, "responses": [str, …]}`; responses come in an order that depends on the prompt and the
    annotator, so that their place gives nothing away. Answers go to `path`; those that are there already are kept, and
    labelling goes on with the first item that has none. Raises LabError for items that cannot be ranked and DataError
    for a file that holds something else than rankings.
    """

    def __init__(self, items: Iterable[Mapping], path: str | Path, annotator: str = "me"):
        self.items = [(item["prompt"], list(dict.fromkeys(item["responses"]))) for item in items]
        for number, (prompt, responses) in enumerate(self.items, start=1):
            problem = text_problem(prompt) or next(filter(None, map(text_problem, responses)), None)
            if problem is None and len(responses) < 2:
                problem = "has fewer than two different responses"
            if problem:
                raise LabError(f"item {number} cannot be ranked: a text of it {problem}.")
        if not self.items:
            raise LabError("there is no item to rank.")
        self.file = RankingFile(path, annotator)
        self.saved = self.file.read()
        self.stopped = False
        self.at = next((i for i in range(len(self.items)) if not self.is_ranked(i)), 0)

        self._head, self._prompt, self._note = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self._rows = ipywidgets.VBox()
        self._tie = ipywidgets.Checkbox(description="as good as the one I clicked last", indent=False)
        buttons = {"Back": self.back, "Clear": self.clear, "Skip": self.skip, "Next": self.skip, "Stop": self.stop}
        self._buttons = {name: ipywidgets.Button(description=name) for name in buttons}
        for name, action in buttons.items():
            self._buttons[name].on_click(lambda _, action=action: action())
        self._buttons["Next"].button_style = "primary"
        controls = ipywidgets.HBox(list(self._buttons.values()))
        super().__init__([self._head, self._prompt, self._rows, self._tie, self._note, controls])
        self.add_class("labhelpers-labeller")
        self._open(self.at)

    def __repr__(self) -> str:
        return f"Labeller({len(self.items)} items)"

    def is_ranked(self, index: int) -> bool:
        """Whether the item at `index` has a saved ranking."""
        return _key(*self.items[index]) in self.saved

    @property
    def ranked(self) -> int:
        """How many of the items have a saved ranking."""
        return sum(map(self.is_ranked, range(len(self.items))))

    # -- what the buttons do -------------------------------------------------------------------------------------

    def click(self, response: str) -> None:
        """Gives the next rank to `response` (or the last one's, with the box for ties ticked); saves when all have
        one. A response that has a rank keeps it: Clear starts this item afresh."""
        prompt, responses = self.items[self.at]
        if self.stopped or response in self._ranks or response not in responses:
            return
        tie = bool(self._tie.value and self._ranks)
        self._ranks[response] = max(self._ranks.values()) if tie else len(self._ranks) + 1
        self._tie.value = False
        problem = ""
        if len(self._ranks) == len(responses):
            try:
                self.file.append(prompt, responses, self._ranks)
                self.saved[_key(prompt, responses)] = dict(self._ranks)
            except LabError as error:
                del self._ranks[response]
                problem = str(error)
        self._show(problem)

    def clear(self) -> None:
        """Forgets the clicks on this item; a ranking that was saved stays until another is."""
        self._ranks = {}
        self._show()

    def back(self) -> None:
        """The item before this one, with the ranking it has."""
        self._open(max(self.at - 1, 0))

    def skip(self) -> None:
        """The next item; this one stays as it is."""
        self._open(min(self.at + 1, len(self.items) - 1))

    def stop(self) -> None:
        """Ends labelling; showing a new Labeller on the same file goes on."""
        self.stopped = True
        self._show()

    # -- what is shown -------------------------------------------------------------------------------------------

    def _open(self, index: int) -> None:
        self.at = index
        prompt, responses = self.items[index]
        self._ranks = dict(self.saved.get(_key(prompt, responses), {}))
        self._tie.value = False
        rows = []
        for text in _shuffled(responses, prompt, self.file.annotator):
            button = ipywidgets.Button(
                layout=ipywidgets.Layout(width="4em", flex="0 0 auto"), tooltip="rank this one next"
            )
            button.on_click(lambda _, text=text: self.click(text))
            row = ipywidgets.HBox([button, ipywidgets.HTML(_paragraph(text))])
            row.response = text
            rows.append(row)
        self._rows.children = rows
        self._show()

    def _show(self, problem: str = "") -> None:
        prompt, responses = self.items[self.at]
        done, last = len(self._ranks) == len(responses), self.at == len(self.items) - 1
        self._head.value = f"<b>Item {self.at + 1} of {len(self.items)}</b> · {self.ranked} ranked"
        self._prompt.value = _paragraph(prompt.strip())
        for row in self._rows.children:
            rank = self._ranks.get(row.response)
            row.children[0].description = str(rank) if rank else "·"
            row.children[0].disabled = self.stopped or rank is not None
        self._tie.disabled = self.stopped or done or not self._ranks
        for name, button in self._buttons.items():
            button.disabled = self.stopped
            button.layout.display = "none" if name == ("Skip" if done else "Next") else ""
        self._buttons["Back"].disabled = self.stopped or self.at == 0
        self._buttons["Skip"].disabled = self._buttons["Next"].disabled = self.stopped or last
        self._note.value = f"<b>{html.escape(problem)}</b>" if problem else self._advice(done)

    def _advice(self, done: bool) -> str:
        if self.stopped:
            return f"Stopped: {self.ranked} of {len(self.items)} ranked and saved. Run the cell again to go on."
        if self.ranked == len(self.items):
            return "All items are ranked and saved. Thank you!"
        if done:
            return "Saved."
        return "Click the best response, then the next best, down to the worst."


def _key(prompt: str, responses: Iterable[str]) -> tuple:
    return prompt, tuple(sorted(responses))


def _shuffled(responses: list[str], prompt: str, annotator: str) -> list[str]:
    """An order of its own for each prompt and annotator, the same whenever this item is shown to them again."""
    from labhelpers.feedback.rankings import prompt_id

    return sorted(responses, key=lambda text: prompt_id(f"{annotator}\n{prompt}\n{text}"))


def _paragraph(text: str) -> str:
    return f'<div style="white-space: pre-wrap; line-height: 1.4; margin: 4px 0">{html.escape(text)}</div>'
