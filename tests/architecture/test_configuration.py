"""docs/how-to/configure.md tells every variable of every process, and glossary and runbook every name they promise."""

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from approval.settings import ApprovalSettings
from data_exchange.settings import DataExchangeSettings
from identity.settings import IdentitySettings
from pydantic.fields import FieldInfo
from rating.settings import RatingSettings
from yijian_common.settings import PREFIX, ProcessSettings
from yijian_department.process import DepartmentSettings
from yijian_witness.settings import WitnessSettings

ROOT = Path(__file__).parents[2]
CODE = [
    path
    for part in ("libs", "services", "departments", "witness", "cli", "deploy", "bench")
    for path in (ROOT / part).rglob("*.py")
]
RUNNING = [path for path in CODE if "tests" not in path.parts]
PROCESSES: dict[str, type[ProcessSettings]] = {
    "approval": ApprovalSettings,
    "data-exchange": DataExchangeSettings,
    "identity": IdentitySettings,
    "rating": RatingSettings,
    "departments": DepartmentSettings,
    "witness": WitnessSettings,
}
# A default that the page tells in other words, since it depends on the checkout or on the process.
IN_WORDS = {
    ("approval", "YIJIAN_LIFE_EVENTS_FOLDER"): "those of this release",
    ("departments", "YIJIAN_SERVICE"): "the principal",
    **{(process, "YIJIAN_AUDIENCE"): "the service" for process in PROCESSES},
    **{
        (process, "YIJIAN_KAFKA_USERNAME"): "the service"
        for process in ("approval", "data-exchange", "identity", "rating", "departments")
    },
    ("identity", "YIJIAN_IDENTITY_ISSUER"): "required",
    ("approval", "YIJIAN_IDENTITY_ISSUER"): "required",
    ("data-exchange", "YIJIAN_IDENTITY_ISSUER"): "required",
    ("rating", "YIJIAN_IDENTITY_ISSUER"): "required",
}


def rows() -> dict[str, list[str]]:
    """The cells beside each variable of the page."""
    page = (ROOT / "docs" / "how-to" / "configure.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| `(YIJIAN_\w+)` \| (.*) \|$", page, re.MULTILINE)
    assert len({variable for variable, _ in found}) == len(found), "a variable is described twice"
    return {variable: [cell.strip() for cell in cells.split(" | ")] for variable, cells in found}


def readers(told: str) -> set[str]:
    """The processes that a cell names."""
    match told:
        case "all":
            return set(PROCESSES)
        case "all but the witness":
            return set(PROCESSES) - {"witness"}
        case _:
            return set(told.split(", ")) & set(PROCESSES)


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    match value:
        case None | "" | () | {}:
            return "none"
        case bool():
            return str(value).lower()
        case frozenset():
            return ",".join(sorted(item.value for item in value))
        case Enum():
            return str(value.value)
        case _:
            return str(value)


def settings() -> Iterator[tuple[str, str, str]]:
    for process, kind in PROCESSES.items():
        for name, field in kind.model_fields.items():
            variable = f"{PREFIX}{name}".upper()
            yield process, variable, IN_WORDS.get((process, variable), default(field))


@pytest.mark.parametrize(("process", "variable", "value"), list(settings()), ids=str)
def test_every_setting_is_described_with_its_default(process: str, variable: str, value: str):
    processes, told, meaning = rows()[variable]
    assert process in readers(processes)
    assert value.strip("`") in [part.strip().strip("`").split(" (")[0] for part in told.split(";")]
    assert meaning


def test_no_setting_is_described_for_a_process_that_does_not_read_it():
    read: dict[str, set[str]] = {}
    for process, variable, _ in settings():
        read.setdefault(variable, set()).add(process)
    for variable, (processes, *_) in rows().items():
        assert readers(processes) == read.get(variable, set()), variable


def test_every_variable_that_code_names_is_described():
    named = {v for path in RUNNING for v in re.findall(r"\bYIJIAN_[A-Z_]*[A-Z]\b", path.read_text("utf-8"))}
    assert named - set(rows()) == set()


def test_every_word_of_the_glossary_is_one_that_code_uses():
    text = "\n".join(path.read_text("utf-8") for path in RUNNING)
    text += "\n".join(path.read_text("utf-8") for path in (ROOT / "services").rglob("*.yaml"))
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| [^|]*[\u4e00-\u9fff][^|]* \| [^|]+ \| ([^|]+) \| [^|]+ \|$", glossary, re.MULTILINE)
    names = [name for cell in lines for name in re.findall(r"`([^`]+)`", cell)]
    assert len(names) > 50
    assert not [name for name in names if not re.search(rf"\b{re.escape(name)}\b", text)]
    assert [cell for cell in lines if "`" not in cell] == ["in code"] * 7, "only the heads of the tables have none"


def test_every_kind_of_incident_has_its_line_in_the_runbook():
    opened = r"(?:open_incident\(|OpenIncident\(|batch\.incident\(|incident=)\s*\"([a-z-]+)\""
    kinds = {kind for path in RUNNING for kind in re.findall(opened, path.read_text("utf-8"))}
    runbook = (ROOT / "docs" / "how-to" / "operate.md").read_text(encoding="utf-8")
    assert len(kinds) > 7
    assert not {kind for kind in kinds if f"| `{kind}` |" not in runbook}


def test_every_metric_has_its_line_in_the_runbook():
    made = r"(?:Counter|Gauge|Histogram)\(\s*\"([a-z_]+)\""
    names = {name for path in RUNNING for name in re.findall(made, path.read_text("utf-8"))}
    runbook = (ROOT / "docs" / "how-to" / "operate.md").read_text(encoding="utf-8")
    assert len(names) > 8
    assert not {name for name in names if f"`{name}`" not in runbook and f"`{name}_total`" not in runbook}


def test_what_a_loop_says_when_it_stands_still_is_explained():
    said = r"_problem = f?\"([^\"{(:]{8,})"
    sentences = {text.strip("; ") for path in RUNNING for text in re.findall(said, path.read_text("utf-8"))}
    runbook = (ROOT / "docs" / "how-to" / "operate.md").read_text(encoding="utf-8")
    assert len(sentences) > 4
    assert not {sentence for sentence in sentences if sentence not in runbook}
