"""The fictitious families of a platform on this machine: who may log in, and what the bureaus hold on them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yijian_embedded.home import Home
from yijian_examples.family import Kind
from yijian_examples.forms import FOLDER, example, form_of
from yijian_examples.population import STORIES, family, kind_of
from yijian_examples.records import Population, find_population, write_records

FAMILIES = 200


@dataclass(frozen=True)
class Filled:
    """A filled-in form and the account that hands it in; `note` says what was changed of the file, if anything."""

    form: dict[str, Any]
    account: str
    note: str = ""


def ensure_population(home: Home) -> Population:
    """The families whose records the programs load when they start, written on the first occasion and then kept."""
    return find_population(home.records) or write_records(home.records, FAMILIES)


def standard_families(population: Population) -> list[int]:
    """The families that tell the standard story, the one of ``standard.json`` first."""
    return [n for n in range(1, population.families + 1) if kind_of(n) is Kind.STANDARD]


def application_of(n: int, population: Population) -> Filled:
    """What family `n` hands in; family 1 hands in ``standard.json``."""
    subject = family(n, today=population.today)
    if n == 1:
        return Filled(example(Kind.STANDARD, today=population.today), subject.account)
    return Filled(form_of(subject), subject.account)


def find_example(path: Path, population: Population) -> Filled | None:
    """The example application in this file, with its dates moved to those that the bureaus' records have."""
    if path.resolve().parent != FOLDER.resolve() or path.stem not in set(Kind):
        return None
    kind = Kind(path.stem)
    number = next((n for n, told in STORIES.items() if told is kind), 1)
    form = example(kind, today=population.today)
    if form == json.loads(path.read_text(encoding="utf-8")):
        return Filled(form, family(number).account)
    note = f"Dates moved to {population.today}, the day that the fictitious records are of."
    return Filled(form, family(number).account, note)
