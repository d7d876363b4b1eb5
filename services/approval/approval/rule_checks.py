"""What must hold of a life event's rules: they compile, and read only what is declared where they stand."""

from approval.checked import Checked, choose
from approval.definition import MatterDefinition
from approval.form_schema import parse_pointer, pointer, pointers, schema_at
from approval.rules import RuleError, compile_rule
from approval.yaml_lines import Path


def check_rules(checked: Checked) -> None:
    codes = [matter.code for matter in checked.definition.matters]
    children = checked.definition.form.children
    for i, rule in enumerate(checked.definition.rules):
        path: Path = ("rules", i)
        child = children is not None and rule.pointer.startswith(f"{children}/*")
        check_form_rule(checked, rule.check, (*path, "check"), child=child, now=rule.severity == "error")
        if schema_at(checked.form, parse_pointer(rule.pointer)) is None:
            checked.wrong(
                (*path, "pointer"),
                f"{rule.rule}: the form has no field {rule.pointer}",
                choose(rule.pointer, pointers(checked.form)),
            )
        if (rule.severity == "person") != bool(rule.matters):
            checked.wrong(
                path, f"{rule.rule}: severity and matters do not fit", "name matters exactly where severity is person"
            )
        for code in rule.matters:
            if code not in codes:
                checked.wrong(
                    (*path, "matters"), f"{rule.rule} concerns {code}, which does not exist", choose(code, codes)
                )
    for i, matter in checked.matters:
        for j, reason in enumerate(matter.not_needed):
            check_form_rule(checked, reason.when, ("matters", i, "not_needed", j, "when"), child=False)
        if matter.already_done is not None:
            check_form_rule(checked, matter.already_done, ("matters", i, "already_done"), child=matter.per == "child")
        _check_matter_rules(checked, i, matter)


def check_form_rule(checked: Checked, text: str, path: Path, *, child: bool, now: bool = False) -> None:
    """What decides on tasks and claims must not read `now`: it would answer differently when it is asked again."""
    try:
        expression = compile_rule(text, checked.settings)
    except RuleError as error:
        checked.wrong(path, f"the rule cannot be read: {error}", "correct the rule")
        return
    for read in sorted(expression.places):
        if read[0] == "child" and child:
            place = (*parse_pointer(checked.definition.form.children or ""), "*", *read[1:])
        elif read[0] == "form":
            place = read[1:]
        elif read[0] == "now" and now:
            continue
        else:
            name = ".".join(read)
            checked.wrong(path, f"the rule reads {name}, which it may not", f"read {_roots(child=child, now=now)}")
            continue
        if schema_at(checked.form, place) is None:
            missing = pointer(place)
            checked.wrong(
                path,
                f"the rule reads {missing}, which the form does not have",
                choose(missing, pointers(checked.form)),
            )


def _roots(*, child: bool, now: bool) -> str:
    return ", ".join(["form.…", *(["child.…"] if child else []), *(["now"] if now else [])])


def _check_matter_rules(checked: Checked, i: int, matter: MatterDefinition) -> None:
    groups = [group for group in matter.receives if checked.holds(group.where)]
    known = {name: source for group in groups for name, source in group.fields.items()}
    for j, reason in enumerate(matter.needs_person):
        path: Path = ("matters", i, "needs_person", j, "when")
        try:
            expression = compile_rule(reason.when, checked.settings)
        except RuleError as error:
            checked.wrong(path, f"{matter.code}: the rule cannot be read: {error}", "correct the rule")
            continue
        for name in sorted({read[0] for read in expression.places}):
            if name not in known:
                checked.wrong(
                    path,
                    f"{matter.code}: the rule reads {name}, which the matter does not receive",
                    choose(name, known),
                )
            elif not known[name].startswith("/"):
                checked.wrong(
                    path,
                    f"{matter.code}: the rule reads {name}, which is not known before {known[name]} is answered",
                    "decide by fields of the form; the department decides by the rest",
                )
