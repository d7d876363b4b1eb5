"""What a run came to, for a person to read and for a machine."""

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from yijian_chaos.evidence import this_machine
from yijian_chaos.history import Kind, Phase
from yijian_chaos.outcome import bound, by_kind, cells, errors, not_tested, operations
from yijian_chaos.run import Result

MOST_SHOWN = 20


def as_dict(result: Result) -> dict[str, Any]:
    """Everything, as `verdict.json` has it."""
    facts, seen = result.facts, result.seen
    return {
        "ok": result.ok,
        "profile": facts.profile.name,
        "seed": result.order.seed,
        "commit": result.commit,
        "brokers": facts.profile.brokers,
        "planted": result.order.planted,
        "machine": this_machine(),
        "seconds": round(result.seconds, 1),
        "load_seconds": round(facts.load[1] - facts.load[0], 1),
        "operations": operations(facts.attempts),
        "applications_accepted": applications(result),
        "attempts": by_kind(facts.attempts),
        "errors": errors(facts.attempts),
        "undecided": facts.undecided,
        "accepted_outside_faults": {"asked": seen.accepted.asked, "well": seen.accepted.well},
        "half_minutes_with_all_there": dict(seen.half_minutes),
        "standstills": len(seen.standstills),
        "faults": [
            {
                "fault": cell.fault,
                "component": cell.component,
                "injected": cell.injected,
                "worst_recovery_s": cell.worst_s,
                "limit_s": cell.limit_s,
            }
            for cell in cells(facts.timeline)
        ],
        "skipped": {str(planned): why for planned, why in facts.skipped.items()},
        "rested_after_s": None if facts.rested_s is None else round(facts.rested_s, 1),
        "token_waits": {
            "asked": result.waits.asked,
            "unanswered": result.waits.unanswered,
            "longest_s": round(result.waits.longest_s, 1),
        },
        "findings": [{"rule": f.rule, "what": f.what, "where": dict(f.where)} for f in result.findings],
        "checker": result.verdict.as_dict(),
        "bound": bound(len(result.findings) + sum(result.verdict.found.values()), applications(result)),
        "not_tested": not_tested(facts.profile, facts.skipped),
        "evidence": str(result.evidence),
        "data": None if result.data is None else str(result.data),
    }


def applications(result: Result) -> int:
    """How many applications the clients know to be accepted."""
    answered = (a.ending for a in result.facts.attempts if a.call.kind is Kind.SUBMIT and a.phase is Phase.OK)
    return len({ending.application for ending in answered if ending})


def write(result: Result) -> None:
    """`verdict.json` in the run's folder."""
    text = json.dumps(as_dict(result), ensure_ascii=False, indent=1) + "\n"
    (result.evidence / "verdict.json").write_text(text, encoding="utf-8")


def show(result: Result, console: Console) -> None:
    """A page for a person: what was done, what was found, what it means."""
    said = as_dict(result)
    _show_operations(said, console)
    _show_faults(said, console)
    _show_invariants(said, console)
    _show_end(said, console)


def _show_operations(said: Mapping[str, Any], console: Console) -> None:
    table = _table("Attempts", "kind", *(phase.value for phase in (Phase.OK, Phase.FAIL, Phase.INFO)))
    for kind, ended in said["attempts"].items():
        table.add_row(kind, *(str(ended.get(phase, 0)) for phase in (Phase.OK, Phase.FAIL, Phase.INFO)))
    console.print(table)
    for error, count in list(said["errors"].items())[:MOST_SHOWN]:
        console.print(f"  {count} × {error}", highlight=False)
    outside, there = said["accepted_outside_faults"], said["half_minutes_with_all_there"]
    console.print(
        f"{said['operations']:,} operations, {said['applications_accepted']:,} applications accepted"
        f" in {said['load_seconds']:.0f} s.\n"
        f"Outside faults {outside['well']} of {outside['asked']} were accepted at the first answer.\n"
        f"Half minutes with everything there: {there['accepted']} for accepting, {there['completed']} for completing;"
        f" {said['standstills']} of them stood still.",
        highlight=False,
    )


def _show_faults(said: Mapping[str, Any], console: Console) -> None:
    if not said["faults"]:
        console.print("No faults.")
        return
    table = _table("Faults", "fault", "component", "injected", "healthy again after, worst", "limit")
    for cell in said["faults"]:
        worst, limit = cell["worst_recovery_s"], cell["limit_s"]
        table.add_row(
            cell["fault"],
            cell["component"],
            str(cell["injected"]),
            "never" if worst is None else f"{worst:.1f} s",
            "" if limit is None else f"{limit:.0f} s",
        )
    console.print(table)


def _show_invariants(said: Mapping[str, Any], console: Console) -> None:
    table = _table("Invariants", "invariant", "violations", "looked at")
    checker = said["checker"]
    for name, looked in checker["counts"].items():
        seen = ", ".join(f"{count:,} {what}" for what, count in looked.items())
        table.add_row(name, str(checker["found"].get(name, 0)), seen)
    console.print(table)
    for violation in checker["violations"][:MOST_SHOWN]:
        console.print(f"  {violation['invariant']}: {violation['what']} {violation['where']}", highlight=False)
    for finding in said["findings"][:MOST_SHOWN]:
        console.print(f"  {finding['rule']}: {finding['what']} {finding['where'] or ''}", highlight=False)


def _show_end(said: Mapping[str, Any], console: Console) -> None:
    rested = said["rested_after_s"]
    console.print("Never at rest." if rested is None else f"At rest {rested:.0f} s after the last heal.")
    console.print(f"Violations: {said['bound']}.", highlight=False)
    console.print("Not tested: " + "; ".join(said["not_tested"]) + ".", highlight=False)
    console.print(f"Evidence: {said['evidence']}", highlight=False, soft_wrap=True)
    if said["data"]:
        console.print(f"The platform's data was kept: {said['data']}", highlight=False, soft_wrap=True)
    verdict = "PASSED" if said["ok"] else "FAILED"
    console.print(f"{verdict}  seed {said['seed']}, commit {said['commit']}, {said['seconds']:.0f} s", highlight=False)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    return table
