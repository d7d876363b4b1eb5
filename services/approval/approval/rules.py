"""Rules in CEL, the Common Expression Language: compiled once, with everything they read known beforehand.

Two dialects share one set of functions. A *form rule* reads `form.…`, `child.…` (one newborn), `now`. A *matter's rule*
reads the names of the fields that its matter declares, and nothing else. `settings.<name>` stands in both for a
setting's resolved value and is written into the rule when the life event is loaded.

A function never raises: given nonsense it answers with a value that makes no rule pass by accident (the schema has then
already said what is wrong).
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from importlib.resources import files
from typing import Any

import cel
from yijian_contracts.areas import area_contains
from yijian_contracts.identifiers import InvalidIdentifierError, parse_citizen_id

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
"""China has had one zone without daylight saving since 1991."""


class RuleError(ValueError):
    """A rule cannot be compiled, or cannot be evaluated on a form."""


# --- functions that rules may call -----------------------------------------------------------------------------------


def valid_citizen_id(number: Any) -> bool:
    """GB 11643: shape, existing date, check character."""
    return birth_date_of(number) != ""


def birth_date_of(number: Any) -> str:
    """The birth date in a citizen number as YYYY-MM-DD; empty when the number is wrong."""
    try:
        return parse_citizen_id(number).birth_date.isoformat()
    except InvalidIdentifierError:
        return ""


def sex_of(number: Any) -> str:
    """ "1" for a man's citizen number, "2" for a woman's; empty when the number is wrong."""
    try:
        return parse_citizen_id(number).sex.value
    except InvalidIdentifierError:
        return ""


def age_at(birth_date: Any, day: Any) -> int:
    """Full years between two days; -1 when either is no date. Someone born on 29 February ages on 1 March."""
    born, on = _date(birth_date), _date(day)
    if born is None or on is None:
        return -1
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def days_between(earlier: Any, later: Any) -> int:
    """Whole calendar days in Asia/Shanghai from one day or instant to another; a million when either is nonsense."""
    start, end = _date(earlier), _date(later)
    return 1_000_000 if start is None or end is None else (end - start).days


def hours_between(instants: Any) -> float:
    """Hours between the first and the last of a list of instants; a million when one is nonsense."""
    moments = [_instant(text) for text in instants]
    if None in moments:
        return 1_000_000.0
    known = [moment for moment in moments if moment is not None]
    return (max(known) - min(known)).total_seconds() / 3600 if known else 0.0


def in_order(instants: Any) -> bool:
    """Whether no instant of the list is earlier than the one before it."""
    moments = [_instant(text) for text in instants]
    known = [moment for moment in moments if moment is not None]
    return len(known) == len(moments) and known == sorted(known)


def day_of(instant: Any) -> str:
    """The calendar day of an instant in Asia/Shanghai as YYYY-MM-DD; empty when it is no instant."""
    day = _date(instant)
    return day.isoformat() if day else ""


def year_of(instant: Any) -> int:
    """The calendar year of a day or instant in Asia/Shanghai; 0 when it is neither."""
    day = _date(instant)
    return day.year if day else 0


def length(value: Any) -> int:
    """Characters of a text or items of a list (CEL's own `size` counts the bytes of a text here)."""
    return len(value) if isinstance(value, (str, list, dict)) else -1


def distinct(values: Any) -> bool:
    """Whether no value of the list stands in it twice."""
    return len({repr(value) for value in values}) == len(values)


def numbered(orders: Any) -> bool:
    """Whether the list is 1, 2, … in that order."""
    return list(orders) == list(range(1, len(orders) + 1))


_HAN = "㐀-䶿一-鿿\U00020000-\U000323af"
_COMPOUND = frozenset(
    tomllib.loads(files(__package__).joinpath("data/names.toml").read_text(encoding="utf-8"))[
        "compound_surnames"
    ].split()
)
_NAME = re.compile(f"[{_HAN}]{{1,20}}")
_MINORITY_NAME = re.compile(f"[{_HAN}]{{1,18}}(?:·[{_HAN}]{{1,18}})+")


def permitted_name(surname: Any, given_name: Any) -> bool:
    """Whether a name is of the usual shape: surname of 1 or 2 Han characters (2 only when listed) and 1–4 given ones.

    Or, for a minority's name, Han characters with the interpunct U+00B7; at most 20 characters in all.
    """
    if not isinstance(surname, str) or not isinstance(given_name, str) or len(surname + given_name) > 20:
        return False
    if "·" in surname + given_name:
        return bool(_MINORITY_NAME.fullmatch(surname + given_name))
    usual_surname = bool(_NAME.fullmatch(surname)) and (len(surname) == 1 or surname in _COMPOUND)
    return usual_surname and bool(_NAME.fullmatch(given_name)) and len(given_name) <= 4


def same_county(code12: Any, other12: Any) -> bool:
    """Whether two area codes lie in the same county or district."""
    return isinstance(code12, str) and isinstance(other12, str) and code12[:6] == other12[:6]


def within(area: Any, code: Any) -> bool:
    """Whether an area (12 digits) contains a place given with 6 or 12 digits."""
    return isinstance(area, str) and isinstance(code, str) and area_contains(area, code.ljust(12, "0"))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        valid_citizen_id,
        birth_date_of,
        sex_of,
        age_at,
        days_between,
        hours_between,
        in_order,
        day_of,
        year_of,
        length,
        distinct,
        numbered,
        permitted_name,
        same_county,
        within,
    )
}

_BUILT_IN = frozenset(
    {"timestamp", "duration", "string", "int", "double", "startsWith", "endsWith", "contains", "matches"}
)


def _instant(text: Any) -> datetime | None:
    if isinstance(text, datetime):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def _date(text: Any) -> date | None:
    if isinstance(text, str) and len(text) == 10:
        try:
            return date.fromisoformat(text)
        except ValueError:
            return None
    moment = _instant(text)
    return moment.astimezone(SHANGHAI).date() if moment else None


# --- compiling -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expression:
    """A compiled rule. `reads` are the dotted paths it reads (`form.mother.id_no`, `child.sex`, `marriage_status`)."""

    text: str
    program: Any
    reads: frozenset[str]


def compile_rule(text: str, settings: Mapping[str, str]) -> Expression:
    """The compiled rule, its settings written in. Raises `RuleError` that says what is wrong with the text."""
    bound = _bind_settings(text, settings)
    try:
        program = cel.compile(bound)
    except ValueError as error:
        raise RuleError(f"not CEL: {' '.join(str(error).split())[:160]}") from None
    for function in program.functions():
        if re.match(r"[A-Za-z]", function) and function not in FUNCTIONS and function not in _BUILT_IN:
            hint = "length(…)" if function == "size" else f"one of {', '.join(sorted({*FUNCTIONS, *_BUILT_IN}))}"
            raise RuleError(f"there is no function {function}(…); use {hint}")
    return Expression(text=text, program=program, reads=_paths(bound, frozenset(program.variables())))


def combine(expressions: Iterable[str], settings: Mapping[str, str]) -> Any:
    """One program that answers with the list of the values of all `expressions`, which converts its input only once."""
    return cel.compile(f"[{', '.join(f'({_bind_settings(text, settings)})' for text in expressions)}]")


def form_context(form: Mapping[str, Any], **variables: Any) -> Any:
    """What form rules are evaluated on. Raises `RuleError` for a form that cannot even be read."""
    try:
        return cel.Context(variables={"form": form, **variables}, functions=dict(FUNCTIONS))
    except (ValueError, OverflowError) as error:
        raise RuleError(f"the form cannot be read: {type(error).__name__}") from None


def field_context(fields: Mapping[str, Any]) -> Any:
    """What a matter's rules are evaluated on: its fields by name, null where the form has none."""
    return form_context({}, **fields)


def evaluate(program: Any, context: Any) -> Any:
    """The program's value. Raises `RuleError` when the input does not have what the rule reads."""
    try:
        return program.execute(context)
    except (RuntimeError, TypeError, KeyError, ValueError, IndexError, OverflowError) as error:
        # The text of such an error may repeat a value of the form.
        raise RuleError(f"the rule cannot be evaluated: {type(error).__name__}") from None


_STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_CHAIN = re.compile(r"(?<![\w.\])])([A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d+\])*)(\s*\()?")
_MACRO = re.compile(
    r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d+\])*)\.(?:all|exists|exists_one|map|filter)\(\s*([A-Za-z_]\w*)\s*,"
)


def _bind_settings(text: str, settings: Mapping[str, str]) -> str:
    def literal(match: re.Match[str]) -> str:
        name = match[1]
        if name not in settings:
            raise RuleError(f"there is no setting {name!r}; declared are {', '.join(settings) or 'none'}")
        return "'" + settings[name].replace("\\", "\\\\").replace("'", "\\'") + "'"

    pieces, end = [], 0
    for string in _STRING.finditer(text):
        pieces += [re.sub(r"\bsettings\.(\w+)", literal, text[end : string.start()]), string[0]]
        end = string.end()
    return "".join([*pieces, re.sub(r"\bsettings\.(\w+)", literal, text[end:])])


def _paths(text: str, variables: frozenset[str]) -> frozenset[str]:
    """The dotted paths in a rule. A macro's variable stands for an item: n in form.newborns.all(n, …) is child-like."""
    bare = _STRING.sub("''", text)
    bound = {name: f"{source}[0]" for source, name in _MACRO.findall(bare)}
    paths = set()
    for chain, call in _CHAIN.findall(bare):
        path = chain.rpartition(".")[0] if call else chain
        root = re.match(r"\w+", path)
        if root and root[0] in variables:
            paths.add(_resolve(path, bound))
    # What only names a macro's variable says nothing beyond its list, which stands here itself.
    return frozenset(re.sub(r"\[\d+\]", ".*", path) for path in paths if path)


def _resolve(path: str, bound: Mapping[str, str]) -> str:
    for _ in range(len(bound) + 1):
        root = re.match(r"\w+", path)
        if root is None or root[0] not in bound:
            return path
        path = bound[root[0]] + path[root.end() :]
    return path


class RuleSet:
    """Rules that are evaluated together over one context, which is converted once for all of them."""

    def __init__(self, texts: Iterable[str], settings: Mapping[str, str]) -> None:
        """Raises `RuleError` for a text that is no rule."""
        self.rules = tuple(compile_rule(text, settings) for text in texts)
        self._together = combine((rule.text for rule in self.rules), settings)

    def evaluate(self, context: Any) -> list[Any]:
        """The value of each rule in order; None for one that cannot be evaluated on this context."""
        if not self.rules:
            return []
        try:
            return list(evaluate(self._together, context))
        except RuleError:
            return [_or_none(rule.program, context) for rule in self.rules]


def _or_none(program: Any, context: Any) -> Any:
    try:
        return evaluate(program, context)
    except RuleError:
        return None


def for_each_child(text: str, children: str) -> str:
    """The rule that answers with a list, one value per child. `children` is the pointer of the form's list of them."""
    return f"form{children.replace('/', '.')}.map(child, ({text}))"
