"""What a rule reads is known before it runs, and running it on only that gives what running it on everything gives."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import approval
import cel
import pytest
from approval import rule_functions as functions
from approval.life_event import load_life_event
from approval.rules import RuleError, RuleSet, compile_rule, for_each_child
from hypothesis import given
from hypothesis import strategies as st
from yijian_examples.family import Kind
from yijian_examples.forms import form_of
from yijian_examples.population import family

BIRTH = load_life_event(Path(approval.__file__).parent / "life_events" / "birth.yaml", allow_fictitious=True)
NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "reads", "asks"),
    [
        ("form.mother.id_no == 'form.father.id_no'", {"form.mother.id_no"}, set()),
        ("has(form.father) && form.father.name == ''", {"form.father.name"}, {"form.father"}),
        ("form.newborns.all(n, n.order > 0)", {"form.newborns.*.order"}, {"form.newborns.*"}),
        ("form.newborns[0].sex == '1'", {"form.newborns.*.sex"}, set()),
        ("form.mother.name.startsWith(child.surname)", {"form.mother.name", "child.surname"}, set()),
        ("form.l.map(n, has(n.a) ? n.a : 'x') == []", {"form.l.*.a"}, {"form.l.*", "form.l.*.a"}),
        ("marriage_status in ['A', 'B'] && x != null", {"marriage_status", "x"}, set()),
        ("form['mother'] == 1", {"form"}, set()),
        ("days_between(child.birth_datetime, now) > 1 && true", {"child.birth_datetime", "now"}, set()),
    ],
)
def test_what_a_rule_reads_is_known(text: str, reads: set[str], asks: set[str]) -> None:
    rule = compile_rule(text, {})
    assert {".".join(place) for place in rule.reads} == reads
    assert {".".join(place) for place in rule.asks} == asks


def test_a_setting_is_written_into_the_rule_but_not_into_its_texts() -> None:
    rules = RuleSet(["settings.city == city && 'settings.city' != city"], {"city": "o'x\\"})
    assert rules.evaluate({"city": "o'x\\"}) == [True]
    with pytest.raises(RuleError, match="there is no setting 'town'; declared are city"):
        compile_rule("settings.town == ''", {"city": "x"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("form.a ==", "not CEL"),
        ("size(form.a) == 1", r"use length\(…\)"),
        ("system('x')", r"there is no function system\(…\)"),
    ],
)
def test_a_rule_that_cannot_run_is_refused(text: str, message: str) -> None:
    with pytest.raises(RuleError, match=message):
        compile_rule(text, {})


def test_a_rule_that_cannot_be_judged_answers_nothing_and_leaves_its_neighbours_alone() -> None:
    rules = RuleSet(["form.a == 1", "form.b.c == 1", "form.a > 0"], {})
    assert rules.evaluate({"form": {"a": 1}}) == [True, None, True]
    assert rules.evaluate({"form": {"a": object()}}) == [None, None, None]
    assert RuleSet([], {}).evaluate({"form": {}}) == []


def test_one_rule_answers_for_each_child() -> None:
    rules = RuleSet([for_each_child("child.n > form.least", "/children")], {})
    assert rules.evaluate({"form": {"children": [{"n": 1}, {"n": 5}], "least": 3}}) == [[False, True]]


@given(st.integers(1, 1_000_000), st.sampled_from(list(Kind)))
def test_rules_say_the_same_of_what_they_read_as_of_the_whole_form(n: int, kind: Kind) -> None:
    form = form_of(family(n, kind=kind, today=NOW.date()))
    for rules in (BIRTH.error_rules.rules, BIRTH.person_rules.rules, BIRTH.conditions.rules, BIRTH.claim_rules):
        whole = cel.Context(variables={"form": form, "now": NOW}, functions=dict(functions.FUNCTIONS))
        values = rules.evaluate({"form": form, "now": NOW})
        assert values == [rule.program.execute(whole) for rule in rules.rules]
        assert None not in values


@pytest.mark.parametrize(
    ("surname", "given_name", "fits"),
    [
        ("李", "安", True),
        ("欧阳", "娜娜", True),
        ("李王", "安", False),
        ("李", "安安安安", True),
        ("李", "安安安安安", False),
        ("买买提", "·艾力", True),
        ("阿卜杜拉", "·买买提·艾力", True),
        ("买买提", "·", False),
        ("李", "a", False),
        ("李", "安1", False),
        ("李", "", False),
        ("𠮷", "安", True),
        ("李", 5, False),
    ],
)
def test_names_of_the_usual_shape(surname: Any, given_name: Any, *, fits: bool) -> None:
    assert functions.permitted_name(surname, given_name) is fits


def test_ages_and_days() -> None:
    assert functions.age_at("1992-02-29", "2026-02-28") == 33
    assert functions.age_at("1992-02-29", "2026-03-01") == 34
    assert functions.days_between("2026-11-15T23:30:00+08:00", "2026-11-15T16:30:00Z") == 1
    assert functions.day_of("2026-11-14T16:30:00Z") == "2026-11-15"
    assert functions.year_of("2026-12-31T17:00:00Z") == 2027
    assert functions.hours_between(["2026-11-15T00:00:00Z", "2026-11-16T01:00:00Z"]) == 25
    assert functions.within("990100000000", "990101")
    assert not functions.within("990100000000", "440103001001")


@given(st.none() | st.integers() | st.text(max_size=30) | st.booleans() | st.lists(st.text(max_size=5), max_size=3))
def test_no_function_raises_whatever_it_is_given(value: Any) -> None:
    for one in (
        functions.valid_citizen_id,
        functions.birth_date_of,
        functions.sex_of,
        functions.day_of,
        functions.year_of,
        functions.length,
        functions.distinct,
        functions.numbered,
        functions.in_order,
        functions.hours_between,
    ):
        one(value)
    for two in (
        functions.age_at,
        functions.days_between,
        functions.permitted_name,
        functions.same_county,
        functions.within,
    ):
        two(value, value)
