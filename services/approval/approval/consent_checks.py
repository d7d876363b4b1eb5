"""What must hold of a life event's consents: known givers, a form in which the applicant can agree to each."""

from collections.abc import Iterator

from approval.checked import Checked, choose
from approval.definition import APPLICANT, GUARDIANS, ConsentDefinition
from approval.form_schema import parse_pointer, schema_at
from approval.yaml_lines import Path

_WITHOUT_CALENDAR = ("MINUTE", "HOUR", "NATURAL_DAY")


def check_consents(checked: Checked) -> None:
    for code, consent in _consents(checked):
        path: Path = ("bases", code)
        _check_givers(checked, consent, path)
        if consent.term.unit not in _WITHOUT_CALENDAR:
            checked.wrong(
                (*path, "term"),
                f"the term of {code} counts {consent.term.unit}, and a consent has to end on the same day everywhere",
                f"write it in {', '.join(_WITHOUT_CALENDAR)}",
            )
    _check_list(checked)
    parties = checked.definition.parties
    for role in parties.numbers:
        if role not in parties.titles:
            checked.wrong(("parties", "titles"), f"{role} has no title", f"add {role}: what residents call this role")
    for role in parties.titles:
        if role not in parties.numbers:
            checked.wrong(
                ("parties", "titles", role),
                f"there is no role {role}, which has a title",
                choose(role, parties.numbers),
            )


def _consents(checked: Checked) -> Iterator[tuple[str, ConsentDefinition]]:
    for code, basis in checked.definition.bases.items():
        if isinstance(basis, ConsentDefinition):
            yield code, basis


def _check_givers(checked: Checked, consent: ConsentDefinition, path: Path) -> None:
    parties = checked.definition.parties
    known = [APPLICANT, GUARDIANS, *parties.numbers]
    for i, giver in enumerate(consent.givers):
        place = (*path, "givers", i)
        if giver not in known:
            checked.wrong(place, f"there is no role {giver!r} that could agree", choose(giver, known))
        elif giver == GUARDIANS and not parties.guardians:
            checked.wrong(place, "the parties have no guardians who could agree", "name parties.guardians")
        elif giver in consent.givers[:i]:
            checked.wrong(place, f"{giver} is asked twice", "name each giver once")


def _check_list(checked: Checked) -> None:
    """The form's list of what the applicant agrees to may hold exactly the consents."""
    codes = [code for code, _ in _consents(checked)]
    pointer = checked.definition.form.consents
    if pointer is None:
        if codes:
            checked.wrong(
                ("form",), f"the form has no place to agree to {', '.join(codes)}", "name its list as form.consents"
            )
        return
    part = schema_at(checked.form, (*parse_pointer(pointer), "*"))
    if part is None:
        checked.wrong(("form", "consents"), f"the form has no list {pointer}", "name an array of text with an enum")
        return
    offered = part.get("enum", ())
    for code in codes:
        if code not in offered:
            checked.wrong(
                ("bases", code), f"nobody can agree to {code} in the form", f"add {code} to the enum of {pointer}"
            )
    for code in offered:
        if code not in codes:
            checked.wrong(
                ("form", "consents"),
                f"{pointer} offers {code}, which is no consent",
                f"use one of {', '.join(codes)}" if codes else "remove it",
            )
