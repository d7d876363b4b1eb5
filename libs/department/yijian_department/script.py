"""A script of what happens around a task: delays, failures, what officials and payers do. For tests and demos only.

A TOML or JSON file with a list `rule`; of the rules that fit a task the first counts:

    [[rule]]
    matter = "B4"
    child = 2
    program = "NEEDS_PERSON"
    reason = "申请随父落户，需核验"
    person = "APPROVE"
    person_after_seconds = 1.5
"""

import json
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from yijian_contracts.events import Correction, TaskRequested

from yijian_department.answers import (
    MOST_EVIDENCE,
    PARAGRAPH_LENGTH,
    Answer,
    needs_person,
    reject,
    return_for_correction,
)

log = structlog.get_logger(__name__)

Seconds = Annotated[float, Field(ge=0, le=86_400)]


class Verdict(StrEnum):
    """What is decided in place of the handler, or by the official at the desk."""

    APPROVE = "APPROVE"
    REJECT = "REJECT"
    RETURN = "RETURN"
    NEEDS_PERSON = "NEEDS_PERSON"


class Rule(BaseModel):
    """What happens to the tasks that fit `matter`, `application_id`, `child`, `attempt` and `fields`.

    `delay_seconds` pass before the program looks; its first `fail_times` tries raise; `program` decides in place of
    its handler. `person` is what an official decides, `person_after_seconds` after the task came to the desk.
    `pay_after_seconds` after a task was suspended, what it waits for happens. A rectification is only ever a person's;
    approving it says `measures` and `evidence`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    matter: str | None = None
    application_id: UUID | None = None
    child: int | None = None
    attempt: int | None = None
    fields: dict[str, JsonValue] = Field(default_factory=dict)
    delay_seconds: Seconds = 0
    fail_times: int = Field(default=0, ge=0)
    program: Verdict | None = None
    person: Verdict | None = None
    person_after_seconds: Seconds = 0
    pay_after_seconds: Seconds | None = None
    reason: str = Field(default="按演示脚本处理", min_length=1, max_length=500)
    corrections: tuple[Correction, ...] = ()
    measures: str = Field(default="已按演示脚本整改", min_length=1, max_length=PARAGRAPH_LENGTH)
    evidence: tuple[str, ...] = Field(default=("演示脚本的整改记录",), min_length=1, max_length=MOST_EVIDENCE)

    @model_validator(mode="after")
    def _returning_names_the_fields(self) -> Self:
        if Verdict.RETURN in (self.program, self.person) and not self.corrections:
            raise ValueError("RETURN needs corrections")
        return self

    def fits(self, task: TaskRequested) -> bool:
        wanted = (
            (self.matter, task.matter),
            (self.application_id, task.application_id),
            (self.child, task.child),
            (self.attempt, task.attempt),
        )
        given = task.personal.fields
        return all(mine is None or mine == theirs for mine, theirs in wanted) and all(
            given.get(name) == value for name, value in self.fields.items()
        )

    def answer(self, verdict: Verdict) -> Answer:
        """What `verdict` says; an approval's outputs come from the handler, so that is asked for them instead."""
        match verdict:
            case Verdict.REJECT:
                return reject(self.reason)
            case Verdict.RETURN:
                return return_for_correction([(c.pointer, c.message) for c in self.corrections], self.reason)
            case Verdict.NEEDS_PERSON:
                return needs_person(self.reason)
            case Verdict.APPROVE:
                raise ValueError("the handler says what an approval gives")


NOTHING_SCRIPTED = Rule()


class Script(BaseModel):
    """The rules, in the order in which they count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: tuple[Rule, ...] = ()

    def rule_for(self, task: TaskRequested) -> Rule:
        return next((rule for rule in self.rule if rule.fits(task)), NOTHING_SCRIPTED)


class ScriptFile:
    """A script that is read again whenever its file changes; `fallback` rules come after the file's.

    A file that cannot be read leaves what was read before in force, and says so in the log. `version` grows with each
    change.
    """

    def __init__(self, path: Path | None = None, *, fallback: Script | None = None) -> None:
        self._path = path
        self._fallback = fallback or Script()
        self._seen: tuple[int, int] | None = None
        self.script = self._fallback
        self.version = 1

    def refresh(self) -> None:
        """Read the file if it changed since the last time; a file that is gone says nothing."""
        seen = self._state()
        if self._path is None or seen == self._seen:
            return
        self._seen = seen
        try:
            rules = _read(self._path) if seen else Script()
        except (ValueError, OSError) as error:
            log.warning("script file is not usable, the earlier rules stay", problem=type(error).__name__)
            return
        self.script = Script(rule=(*rules.rule, *self._fallback.rule))
        self.version += 1

    def _state(self) -> tuple[int, int] | None:
        try:
            state = self._path.stat() if self._path else None
        except FileNotFoundError:
            return None
        return (state.st_mtime_ns, state.st_size) if state else None


def _read(path: Path) -> Script:
    text = path.read_text(encoding="utf-8")
    content: Mapping[str, object] = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    try:
        return Script.model_validate(content)
    except ValidationError as error:
        places = [".".join(str(step) for step in problem["loc"]) for problem in error.errors(include_input=False)]
        raise ValueError(f"script file: not understood at {', '.join(places[:5])}") from None
