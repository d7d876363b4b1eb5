"""Rules of this project that no linter knows, each with its reason. What they forbid is never spelled out here."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 500
SQL_CALLS = {"execute", "executemany", "executescript", "fetch", "fetchrow", "fetchval"}

# What may not stand in code: a pattern, the one file that may hold it, and why. A class of one letter
# keeps a pattern from matching itself.
FORBIDDEN = (
    (
        r"AIOKafk[a](Consumer|Producer)\(",
        "libs/messaging/yijian_messaging/kafka.py",
        "the client's defaults are unsafe",
    ),
    (r"enable_auto_commi[t]\s*=\s*True", "", "an offset is committed with its effect or not at all"),
    (r"\bBackgroun[d]Tasks\b", "", "what runs after the answer is lost with the process: use the outbox"),
    (r"\bBaseHTT[P]Middleware\b", "", "it buffers streams and breaks cancellation: write an ASGI middleware"),
    (r"\b(?:import|from) gmss[l]\b", "", "its nonces come from a predictable generator"),
    (r"\b(?:import|from) jos[e]\b", "", "unmaintained: tokens are joserfc's"),
    (r"\.utcno[w]\(", "", "a naive instant: datetime.now(UTC)"),
    (r"\brandom\.(?:random|choice|randint)\b.*(?:key|token|secret)", "", "secrets come from os.urandom or secrets"),
    (r"(?m)# noq[a](?:: ?[A-Z0-9, ]+)?$", "", "an exemption from a linter's rule carries its reason beside it"),
)
# What may not stand in any file: where packages come from and where somebody's checkout lies is the machine's affair.
FOREIGN = (
    r"pyp[i]\.org",
    r"pythonhoste[d]\.org",
    r"repo\d?\.mave[n]\.",
    r"(?i)artifactor[y]",
    r"(?<![\w.])/wor[k]/",
    r"(?<![\w.])/hom[e]/\w",
    r"(?<![\w.])/roo[t]/",
    r"(?<![\w.])/User[s]/\w",
    r"(?i)\bC:\\\\",
)


def tracked(*patterns: str) -> list[Path]:
    """The files that belong to the project, those not committed yet included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    names = listed.stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


# Bugs that are planted to be caught are what is known to go wrong.
PLANTED = ROOT / "chaos" / "yijian_chaos" / "planted"
PYTHON = tracked("*.py")
RUNNING = [path for path in PYTHON if "tests" not in path.parts and not path.is_relative_to(ROOT / "bench")]


@pytest.mark.parametrize(("pattern", "allowed", "reason"), FORBIDDEN, ids=[reason for _, _, reason in FORBIDDEN])
def test_what_is_known_to_go_wrong_is_nowhere(pattern: str, allowed: str, reason: str):
    unplanted = [path for path in PYTHON if not path.is_relative_to(PLANTED) and name(path) != allowed]
    found = [name(path) for path in unplanted if re.search(pattern, path.read_text("utf-8"))]
    assert not found, reason


def test_no_file_names_a_package_registry_or_a_machines_folders():
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name(path)}: {match[0]}" for pattern in FOREIGN if (match := re.search(pattern, text))]
    assert not found


def test_what_is_pinned_is_pinned_by_hash_and_by_no_address():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    required = re.findall(r"^[^\s#].*$", lock, re.MULTILINE)
    hashed = re.findall(r"^[^\s#=]+==\S.*\\\n    --hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE)
    assert len(required) == len(hashed) > 0


@pytest.mark.parametrize("suffix", ["*.py", "*.sql", "*.sh", "*.html"])
def test_no_file_grows_beyond_what_one_can_hold_in_mind(suffix: str):
    sizes = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in tracked(suffix)}
    assert not {file: lines for file, lines in sizes.items() if lines > LONGEST}, "split it by subject"


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def puts_a_value_in(sql: ast.expr) -> bool:
    """Whether a statement over rows is built of anything but a module's constants; DDL takes no parameters."""
    if not isinstance(sql, ast.JoinedStr) or not re.match(
        r"f\W*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", ast.unparse(sql)
    ):
        return False
    parts = [part.value for part in sql.values if isinstance(part, ast.FormattedValue)]
    return not all(isinstance(part, ast.Name) and part.id.lstrip("_").isupper() for part in parts)


@pytest.mark.parametrize("path", RUNNING, ids=name)
def test_code_imports_at_its_head_and_puts_no_value_into_sql(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = [n.lineno for f in functions(tree) for n in ast.walk(f) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert not inside, f"imports inside functions, lines {inside}"
    built = [
        call.lineno
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in SQL_CALLS
        and call.args
        and puts_a_value_in(call.args[0])
    ]
    assert not built, f"values belong into parameters, lines {built}"
