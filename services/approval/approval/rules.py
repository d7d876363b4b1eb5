"""Rules in CEL, the Common Expression Language: compiled once, with everything they read known beforehand.

Two dialects share the functions of `rule_functions`. A *form rule* reads `form.…`, `child.…` (one newborn), `now`. A
*matter's rule* reads the names of the fields that its matter declares, and nothing else. `settings.<name>` stands in
both for a setting's resolved value and is written into the rule when the life event is loaded.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cel

from approval.rule_functions import FUNCTIONS

Place = tuple[str, ...]
"""What a rule reads, from the variable on: ``("form", "mother", "id_no")``; ``*`` stands for each item of a list."""

_BUILT_IN = frozenset(
    {"timestamp", "duration", "string", "int", "double", "startsWith", "endsWith", "contains", "matches"}
)


class RuleError(ValueError):
    """A rule cannot be compiled, or cannot be evaluated on a form."""


@dataclass(frozen=True)
class Expression:
    """A compiled rule. `reads` are the places whose values it reads; of `asks` it only asks whether they exist."""

    text: str
    program: Any
    reads: frozenset[Place]
    asks: frozenset[Place]

    @property
    def places(self) -> frozenset[Place]:
        return self.reads | self.asks


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
    reads, asks = _places(bound, frozenset(program.variables()))
    return Expression(text=text, program=program, reads=reads, asks=asks)


_STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_CHAIN = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d+\])*"
_MENTION = re.compile(rf"(?<![\w.\])])({_CHAIN})(\s*\()?")
_MACRO = re.compile(rf"({_CHAIN})\.(?:all|exists|exists_one|map|filter)\(\s*([A-Za-z_]\w*)\s*,")
_HAS = re.compile(rf"\bhas\(\s*({_CHAIN})\s*\)")


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


def _places(text: str, variables: frozenset[str]) -> tuple[frozenset[Place], frozenset[Place]]:
    """What a rule reads, and what it only asks after with `has` or by going through a list with a macro.

    A macro's variable stands for an item: n in form.newborns.all(n, …) is form.newborns.*.
    """
    bare = _STRING.sub("''", text)
    bound = {name: f"{source}[0]" for source, name in _MACRO.findall(bare)}
    asks = {_place(source, bound) for source in _HAS.findall(bare)}
    asks |= {(*_place(source, bound), "*") for source, _ in _MACRO.findall(bare)}
    # What is asked after, and the name that a macro gives, are not readings of their own.
    bare = _MACRO.sub("''.all(", _HAS.sub("has()", bare))
    reads = set()
    for chain, call in _MENTION.findall(bare):
        mentioned = chain.rpartition(".")[0] if call else chain
        root = re.match(r"\w+", mentioned)
        if root and root[0] in variables:
            reads.add(_place(mentioned, bound))
    return frozenset(reads), frozenset(asks)


def _place(chain: str, bound: Mapping[str, str]) -> Place:
    for _ in bound:
        root = re.split(r"\W", chain, maxsplit=1)[0]
        if root in bound:
            chain = bound[root] + chain[len(root) :]
    return tuple(re.sub(r"\[\d+\]", ".*", chain).split("."))


# --- evaluating ------------------------------------------------------------------------------------------------------


class RuleSet:
    """Rules that are evaluated together over one input, of which only what they read is converted, and only once."""

    def __init__(self, texts: Iterable[str], settings: Mapping[str, str]) -> None:
        """Raises `RuleError` for a text that is no rule."""
        self.rules = tuple(compile_rule(text, settings) for text in texts)
        self._together = cel.compile(f"[{', '.join(f'({_bind_settings(r.text, settings)})' for r in self.rules)}]")
        self._functions = {
            name: FUNCTIONS[name] for rule in self.rules for name in rule.program.functions() if name in FUNCTIONS
        }
        self._tree = _tree(self.rules)

    def evaluate(self, variables: Mapping[str, Any]) -> list[Any]:
        """The value of each rule in order; None for one that cannot be evaluated on these variables."""
        if not self.rules:
            return []
        try:
            context = cel.Context(variables=_project(variables, self._tree), functions=self._functions)
        except (ValueError, OverflowError):
            return [None] * len(self.rules)
        together = _execute(self._together, context)
        if isinstance(together, list):
            return together
        return [_execute(rule.program, context) for rule in self.rules]


def _execute(program: Any, context: Any) -> Any:
    """The program's value; None when the input lacks what it reads (what CEL says then may repeat a value)."""
    try:
        return program.execute(context)
    except (RuntimeError, TypeError, KeyError, ValueError, IndexError, OverflowError):
        return None


def _tree(rules: Sequence[Expression]) -> dict[str, Any]:
    """The places as a tree; None under a name stands for the whole value there."""
    tree: dict[str, Any] = {}
    for place, whole in [*((p, False) for r in rules for p in r.asks), *((p, True) for r in rules for p in r.reads)]:
        here: dict[str, Any] | None = tree
        for step in place[:-1]:
            here = here.setdefault(step, {}) if here is not None else None
        if here is not None:
            if whole:
                here[place[-1]] = None
            else:
                here.setdefault(place[-1], {})
    return tree


def _project(value: Any, tree: dict[str, Any] | None) -> Any:
    """What of `value` the tree mentions; what is no mapping or list is kept as it is."""
    if tree is None:
        return value
    if isinstance(value, Mapping):
        return {name: _project(value[name], part) for name, part in tree.items() if name in value}
    if isinstance(value, list) and "*" in tree:
        part = tree["*"]
        return [_project(item, part) for item in value]
    return value


def for_each_child(text: str, children: str) -> str:
    """The rule that answers with a list, one value per child. `children` is the pointer of the form's list of them."""
    return f"form{children.replace('/', '.')}.map(child, ({text}))"
