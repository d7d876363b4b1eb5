"""What must hold of a life event's file before anything runs on it; each mistake names its place and the fix."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self

from pydantic import ValidationError
from yijian_contracts.departments import departments
from yijian_contracts.events import RECTIFICATION
from yijian_contracts.identifiers import is_uscc

from approval.checked import Checked, Problem, choose, under
from approval.consent_checks import check_consents
from approval.definition import APPLICANT, CHILD, LifeEventDefinition, MatterDefinition, NeedDefinition, Where
from approval.form_checks import check_schema, formats_of
from approval.form_schema import parse_pointer, pointers, schema_at
from approval.graph import ancestors, find_cycle, longest_path
from approval.matters import concerned
from approval.rule_checks import check_form_rule, check_rules
from approval.yaml_lines import Lines, Path

_LICENCE_TYPE = re.compile(r"[0-9A-Z]{18}[0-9]{3}")


class LifeEventError(ValueError):
    """A life event cannot be loaded. `problems` are sentences of the form ``file:line: what; fix: how``."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)

    @classmethod
    def at(cls, file: str, problems: Iterable[Problem], lines: Lines) -> Self:
        """The error with the line of each problem, in the order of the file."""
        found = sorted({(lines.line_of(p.path) or 1, p.message, p.fix) for p in problems})
        return cls([f"{file}:{line}: {message}; fix: {fix}" for line, message, fix in found])


def shape_problems(error: ValidationError) -> Iterator[Problem]:
    """The mistakes in the shape of a file: something missing, unknown or of the wrong type."""
    for mistake in error.errors(include_url=False, include_input=False):
        # Pydantic names the branch of a union and the key of a mapping too; only steps of the file have lines.
        path = tuple(
            step for step in mistake["loc"] if isinstance(step, int) or not step.startswith(("constrained", "["))
        )
        if path[:1] == ("bases",) and path[2:3] in (("LAW",), ("CONSENT",)):
            path = path[:2] + path[3:]
        name = next((str(step) for step in reversed(path) if isinstance(step, str)), "")
        match mistake["type"]:
            case "missing":
                yield Problem(path, f"{name!r} is missing", f"add {name}: …")
            case "extra_forbidden":
                yield Problem(path, f"{name!r} is not part of a life event's file", "remove it or correct its name")
            case _:
                yield Problem(path, f"{name!r}: {mistake['msg']}", "write what is expected there")


def check_definition(definition: LifeEventDefinition) -> list[Problem]:
    """Every mistake, in whichever way the settings are resolved: a variant that is switched off must be right too."""
    problems = [*_duplicates(definition), *_wheres(definition)]
    problems += check_schema(definition.form.json_schema, Problem)
    if problems:
        return problems
    names = list(definition.settings)
    choices = [setting.values or (setting.default,) for setting in definition.settings.values()]
    for chosen in itertools.islice(itertools.product(*choices), 64):
        checked = Checked(definition, dict(zip(names, chosen, strict=True)))
        for check in _CHECKS:
            check(checked)
        problems += checked.problems
    return problems


def _duplicates(definition: LifeEventDefinition) -> Iterator[Problem]:
    codes: list[tuple[Path, str, str]] = [
        (("matters", i, "code"), "matter", matter.code) for i, matter in enumerate(definition.matters)
    ]
    codes += [
        (("matters", i, "documents", j, "code"), "document", document.code)
        for i, matter in enumerate(definition.matters)
        for j, document in enumerate(matter.documents)
    ]
    codes += [(("claims", i, "name"), "claim", claim.name) for i, claim in enumerate(definition.claims)]
    counts = Counter((kind, code) for _, kind, code in codes)
    for path, kind, code in codes:
        if counts[kind, code] > 1:
            yield Problem(path, f"the {kind} code {code} is used twice", "give each its own code")


def _wheres(definition: LifeEventDefinition) -> Iterator[Problem]:
    for path, where in _all_wheres(definition):
        for name, value in where.items():
            setting = definition.settings.get(name)
            if setting is None:
                yield Problem((*path, name), f"there is no setting {name!r}", choose(name, definition.settings))
            elif not setting.permits(value):
                yield Problem((*path, name), f"{value!r} is no value of {name}", f"use {setting.permitted}")
    for name, setting in definition.settings.items():
        if not setting.permits(setting.default):
            yield Problem(("settings", name), f"the default of {name} is not permitted", f"use {setting.permitted}")


def _all_wheres(definition: LifeEventDefinition) -> Iterator[tuple[Path, Where]]:
    for i, matter in enumerate(definition.matters):
        yield ("matters", i, "if"), matter.where
        for j, need in enumerate(matter.needs):
            if isinstance(need, NeedDefinition):
                yield ("matters", i, "needs", j, "if"), need.where
        for j, group in enumerate(matter.receives):
            yield ("matters", i, "receives", j, "if"), group.where


def _check_matters(checked: Checked) -> None:
    codes = [matter.code for _, matter in checked.matters]
    for i, matter in checked.matters:
        if matter.code == RECTIFICATION:
            checked.wrong(("matters", i, "code"), f"{RECTIFICATION} stands for bad reviews", "choose another code")
        if matter.department not in departments():
            checked.wrong(
                ("matters", i, "department"),
                f"{matter.code}: unknown department {matter.department!r}",
                choose(matter.department, departments()),
            )
        for j, needed in checked.needs(matter):
            if needed not in codes:
                checked.wrong(
                    ("matters", i, "needs", j),
                    f"{matter.code} needs {needed}, which does not exist{under(checked)}",
                    choose(needed, codes),
                )
        if matter.per == "child" and checked.definition.form.children is None:
            checked.wrong(
                ("matters", i, "per"), f"{matter.code} is per child, but the form has no children", "add form.children"
            )


def _check_graph(checked: Checked) -> None:
    needs = _graph(checked)
    cycle = find_cycle(needs)
    if cycle:
        i = next(i for i, matter in checked.matters if matter.code == cycle[0])
        checked.wrong(
            ("matters", i, "needs"),
            f"matters wait for each other: {' needs '.join(cycle)}",
            f"remove one of these needs, for instance {cycle[1]} of {cycle[0]}",
        )
        return
    minutes, path = longest_path(needs, {matter.code: matter.promise_minutes for _, matter in checked.matters})
    promise = checked.definition.promise.minutes
    if minutes > promise:
        checked.wrong(
            ("promise",),
            f"{' → '.join(path)} takes {minutes} min{under(checked)}, longer than the promise of {promise} min",
            f"promise at least {minutes} min or shorten a matter on that path",
        )


def _graph(checked: Checked) -> dict[str, tuple[str, ...]]:
    codes = {matter.code for _, matter in checked.matters}
    return {m.code: tuple(code for _, code in checked.needs(m) if code in codes) for _, m in checked.matters}


def _check_fields(checked: Checked) -> None:
    needs = _graph(checked)
    reachable = {code: ancestors(code, needs) for code in needs} if not find_cycle(needs) else {}
    used: set[str] = set()
    for i, matter in checked.matters:
        names: Counter[str] = Counter()
        for j, group in enumerate(matter.receives):
            path: Path = ("matters", i, "receives", j)
            used.add(group.basis)
            if group.basis not in checked.definition.bases:
                checked.wrong(
                    (*path, "basis"),
                    f"{matter.code}: there is no basis {group.basis!r}",
                    choose(group.basis, checked.definition.bases),
                )
            if not checked.holds(group.where):
                continue
            names.update(list(group.fields))
            for name, source in group.fields.items():
                place = (*path, "fields", name)
                if names[name] > 1:
                    checked.wrong(place, f"{matter.code} receives {name} twice{under(checked)}", "keep one of them")
                if source.startswith("/"):
                    _check_pointer(checked, matter, source, place)
                else:
                    _check_output(checked, matter, source, place, reachable.get(matter.code))
    _check_unused_bases(checked, used)


def _check_names(checked: Checked) -> None:
    """One name, one source: rules of all matters are evaluated together, and people read a name as one thing."""
    first: dict[str, tuple[str, str]] = {}
    for i, matter in checked.matters:
        for j, group in enumerate(matter.receives):
            for name, source in group.fields.items() if checked.holds(group.where) else ():
                known, where = first.setdefault(name, (source, matter.code))
                if known != source:
                    checked.wrong(
                        ("matters", i, "receives", j, "fields", name),
                        f"{matter.code}: {name} is {source} here and {known} in {where}",
                        "give the two fields different names",
                    )


def _check_unused_bases(checked: Checked, used: set[str]) -> None:
    named = {group.basis for matter in checked.definition.matters for group in matter.receives}
    for basis in checked.definition.bases:
        if basis not in named | used:
            checked.wrong(
                ("bases", basis), f"no field rests on the basis {basis}", "remove it or name it where it is meant"
            )


def _check_pointer(checked: Checked, matter: MatterDefinition, source: str, place: Path) -> None:
    if schema_at(checked.form, parse_pointer(source)) is None:
        checked.wrong(place, f"{matter.code}: the form has no field {source}", choose(source, pointers(checked.form)))
    elif not (schema_at(checked.form, parse_pointer(source)) or {}).get("title"):
        checked.wrong(place, f"{matter.code}: {source} has no title to tell people by", "give it a title in the form")
    elif "*" in source and (matter.per != "child" or not source.startswith(f"{checked.definition.form.children}/*")):
        checked.wrong(
            place,
            f"{matter.code}: {source} is a field of one child, and {matter.code} is for the whole application",
            "make the matter per: child, or receive a field of the application",
        )


def _check_output(
    checked: Checked, matter: MatterDefinition, source: str, place: Path, reachable: frozenset[str] | None
) -> None:
    upstream, dot, output = source.partition(".")
    found = next((m for _, m in checked.matters if m.code == upstream), None)
    if not dot or found is None:
        checked.wrong(
            place, f"{matter.code}: {source!r} is neither a form pointer nor an output", "write /… or MATTER.output"
        )
    elif output not in found.returns:
        checked.wrong(place, f"{matter.code}: {upstream} returns no {output}", choose(output, found.returns))
    elif reachable is not None and upstream not in reachable:
        checked.wrong(
            place,
            f"{matter.code} reads {source} but does not need {upstream}{under(checked)}",
            f"add {upstream} to the needs of {matter.code}",
        )


def _check_results(checked: Checked) -> None:
    for i, matter in checked.matters:
        for j, document in enumerate(matter.documents):
            if not _LICENCE_TYPE.fullmatch(document.licence_type) or not is_uscc(document.licence_type[:18]):
                checked.wrong(
                    ("matters", i, "documents", j, "licence_type"),
                    f"{matter.code}: {document.code} has no valid licence type",
                    "write the social credit code of whoever set the standard and three digits",
                )
            if document.owner == "CHILD" and matter.per != "child":
                checked.wrong(
                    ("matters", i, "documents", j, "owner"),
                    f"{matter.code} is for the whole application, so {document.code} has no one child as owner",
                    "name MOTHER, FATHER or FAMILY as owner",
                )
        if matter.relation is not None and matter.relation not in matter.returns:
            checked.wrong(
                ("matters", i, "relation"),
                f"{matter.code} returns no {matter.relation}",
                choose(matter.relation, matter.returns),
            )
        for name, part in matter.returns.items():
            unknown = formats_of(part)
            if unknown or "type" not in part:
                checked.wrong(
                    ("matters", i, "returns", name),
                    f"{matter.code}: {name} has no known type or format",
                    "give it a JSON type and a known format",
                )
            if not part.get("title"):
                checked.wrong(
                    ("matters", i, "returns", name),
                    f"{matter.code}: {name} has no title to tell people by",
                    "give it a title",
                )


def _check_parties_and_claims(checked: Checked) -> None:
    parties = checked.definition.parties
    for place, source in (("applicant", parties.applicant), *parties.numbers.items()):
        if schema_at(checked.form, parse_pointer(source)) is None:
            checked.wrong(
                ("parties",),
                f"the {place} stands at {source}, which the form does not have",
                choose(source, pointers(checked.form)),
            )
    roles = schema_at(checked.form, parse_pointer(parties.applicant)) or {}
    for role in roles.get("enum", ()):
        if role not in parties.numbers:
            checked.wrong(("parties", "numbers"), f"{role} may apply but has no number", f"add {role}: /…")
    _check_concerns(checked)
    returns = {f"{m.code}.{output}" for _, m in checked.matters for output in m.returns}
    for i, claim in enumerate(checked.definition.claims):
        for text in (*claim.values, *([claim.when] if claim.when else [])):
            check_form_rule(checked, text, ("claims", i), child=checked.definition.form.children is not None)
        if claim.answer is not None and claim.answer not in returns:
            checked.wrong(("claims", i, "answer"), f"no matter returns {claim.answer}", choose(claim.answer, returns))


def _check_concerns(checked: Checked) -> None:
    parties, children = checked.definition.parties, checked.definition.form.children
    known = {*parties.numbers, APPLICANT, *((CHILD,) if children else ())}
    for place, roles in parties.concerns.items():
        if schema_at(checked.form, parse_pointer(place)) is None:
            checked.wrong(
                ("parties", "concerns", place), f"the form has no part {place}", choose(place, pointers(checked.form))
            )
        for role in roles:
            if role not in known:
                checked.wrong(
                    ("parties", "concerns", place), f"{place} concerns {role}, which is no role", choose(role, known)
                )
    for role, place in parties.numbers.items():
        if concerned(parties, place) != (role,):
            checked.wrong(
                ("parties", "concerns"),
                f"the number of {role} at {place} is not about {role} alone",
                f"add a part that holds it, with [{role}]",
            )
    for role in parties.guardians:
        if role not in parties.numbers:
            checked.wrong(("parties", "guardians"), f"the guardian {role} has no number", choose(role, parties.numbers))
    if children and not parties.guardians:
        checked.wrong(
            ("parties",), "nobody may see what is about a child", "name the roles of its guardians as parties.guardians"
        )


_CHECKS: tuple[Callable[[Checked], None], ...] = (
    _check_matters,
    _check_graph,
    _check_fields,
    _check_names,
    check_rules,
    _check_results,
    _check_parties_and_claims,
    check_consents,
)
