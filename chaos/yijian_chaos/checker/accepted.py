"""I1 and I2, and what clients were shown: what was accepted is there, once, and nobody was told otherwise meanwhile.

I1  Each submission, withdrawal and correction that was answered with 2xx, and each consent that was taken back, is in
    the databases. A withdrawal that was accepted ends the application as withdrawn, whatever departments said later.
I2  A key names one application for ever; two keys never name the same; no application is there that no key accounts
    for; no key is left undecided; no application, and no consent in one, was taken back that nobody took back. Reads
    are monotone: what was answered before a request began is never older than what that request is told, an end that
    was shown stays, and an accepted application is never unknown.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from yijian_chaos.checker.evidence import Evidence
from yijian_chaos.checker.facts import APPLICATION_ENDS
from yijian_chaos.checker.history import CONSENT_WITHDRAW, CORRECT, QUERY, SUBMIT, WITHDRAW, WRITES, Attempt
from yijian_chaos.checker.verdict import Judgement

_NOT_FOUND = 404
_SERVER_ERROR = 500


def judge(evidence: Evidence, judgement: Judgement) -> None:
    _submissions(evidence, judgement)
    _withdrawals(evidence, judgement)
    _corrections(evidence, judgement)
    _consents(evidence, judgement)
    _unasked(evidence, judgement)
    _keys(evidence, judgement)
    _reads(evidence, judgement)


# --- I1 --------------------------------------------------------------------------------------------------------------


def _submissions(evidence: Evidence, judgement: Judgement) -> None:
    answered = Counter(evidence.snapshot.request_keys)
    for attempt in evidence.history.attempts:
        if attempt.kind != SUBMIT or attempt.phase != "ok":
            continue
        judgement.looked("I1", "accepted submissions")
        application = attempt.application or ""
        if application not in evidence.applications:
            judgement.broken("I1", "an accepted application is not there", application=application, op=attempt.op)
        elif not answered[application] and application not in evidence.erased:
            what = "an accepted application's answer was not kept with it"
            judgement.broken("I1", what, application=application, op=attempt.op)


def _withdrawals(evidence: Evidence, judgement: Judgement) -> None:
    for attempt in evidence.history.attempts:
        application = evidence.applications.get(attempt.application or "")
        if attempt.kind != WITHDRAW or attempt.phase != "ok":
            continue
        judgement.looked("I1", "accepted withdrawals")
        if application is None or application.erased:
            if application is None:
                judgement.broken("I1", "a withdrawn application is not there", application=attempt.application)
            continue
        lines = [entry for entry in evidence.timelines.get(application.id, ()) if entry.kind == "WITHDRAWN"]
        if application.status != "WITHDRAWN" or len(lines) != 1:
            judgement.broken(
                "I1",
                "an accepted withdrawal is not what became of the application",
                application=application.id,
                op=attempt.op,
                status=application.status,
                lines=len(lines),
            )


def _corrections(evidence: Evidence, judgement: Judgement) -> None:
    accepted: dict[str, set[str]] = defaultdict(set)
    for attempt in evidence.history.attempts:
        if attempt.kind == CORRECT and attempt.phase == "ok":
            accepted[attempt.application or ""].add(attempt.key or f"op {attempt.op}")
    for identity, keys in accepted.items():
        judgement.looked("I1", "accepted corrections", len(keys))
        application = evidence.applications.get(identity)
        lines = [entry for entry in evidence.timelines.get(identity, ()) if entry.kind == "TASK_CORRECTED"]
        if application is not None and application.erased:
            continue
        if application is None or len(lines) < len(keys) or application.form_revision < 1 + len(keys):
            judgement.broken("I1", "an accepted correction is lost", application=identity, keys=sorted(keys))
    _no_correction_without_a_key(evidence, judgement)


def _no_correction_without_a_key(evidence: Evidence, judgement: Judgement) -> None:
    tried: dict[str, set[str]] = defaultdict(set)
    for attempt in evidence.history.attempts:
        if attempt.kind == CORRECT:
            tried[attempt.application or ""].add(attempt.key or f"op {attempt.op}")
    for application in evidence.living:
        lines = sum(entry.kind == "TASK_CORRECTED" for entry in evidence.timelines.get(application.id, ()))
        judgement.looked("I2", "corrected applications", int(lines > 0))
        if lines > len(tried[application.id]):
            what = "an application was corrected more often than anybody asked"
            judgement.broken("I2", what, application=application.id, lines=lines, keys=len(tried[application.id]))


def _consents(evidence: Evidence, judgement: Judgement) -> None:
    """A consent taken back stands in the register, and where approval still rested on it, on the timeline."""
    taken = Counter(row.application for row in evidence.snapshot.withdrawals)
    wanted: dict[str, set[str]] = defaultdict(set)
    for attempt in evidence.history.attempts:
        if attempt.kind == CONSENT_WITHDRAW and attempt.phase == "ok":
            judgement.looked("I1", "consents taken back")
            wanted[attempt.application or ""].add(attempt.key or attempt.actor)
    for application in wanted:
        if not taken[application] and application not in evidence.erased:
            judgement.broken("I1", "a consent that was taken back stands in the register", application=application)
    for row in evidence.snapshot.withdrawals:
        known = evidence.applications.get(row.application)
        if known is None or known.erased:
            continue
        judgement.looked("I1", "withdrawals that approval was told of")
        state = next((c.state for c in known.consents if (c.basis, c.giver) == (row.basis, row.giver)), None)
        if state != "WITHDRAWN":
            what = "approval did not carry out that a consent was withdrawn"
            judgement.broken("I1", what, application=row.application, basis=row.basis, giver=row.giver, state=state)


# --- I2 --------------------------------------------------------------------------------------------------------------


def _keys(evidence: Evidence, judgement: Judgement) -> None:
    owners: dict[str, str] = {}
    for key, attempts in evidence.history.by_key.items():
        judgement.looked("I2", "keys")
        named = {attempt.application or "" for attempt in attempts if attempt.phase == "ok"}
        if len(named) > 1:
            judgement.broken("I2", "a key was answered with several applications", key=key, applications=sorted(named))
        for application in named:
            if owners.setdefault(application, key) != key:
                what = "two keys were answered with one application"
                judgement.broken("I2", what, application=application, keys=sorted([owners[application], key]))
    for row in evidence.snapshot.applications:
        judgement.looked("I2", "application rows")
        if row.id not in owners:
            judgement.broken("I2", "an application is there that no key accounts for", application=row.id)
    _undecided(evidence, judgement)


def _unasked(evidence: Evidence, judgement: Judgement) -> None:
    withdrawn, consents = evidence.history.wanted(WITHDRAW), evidence.history.wanted(CONSENT_WITHDRAW)
    for application in evidence.living:
        if application.status == "WITHDRAWN" and application.id not in withdrawn:
            what = "an application is withdrawn that nobody took back"
            judgement.broken("I2", what, application=application.id)
        lapsed = [consent.basis for consent in application.consents if consent.state == "WITHDRAWN"]
        if lapsed and application.id not in consents:
            what = "a consent is withdrawn that nobody took back"
            judgement.broken("I2", what, application=application.id, bases=lapsed)


def _undecided(evidence: Evidence, judgement: Judgement) -> None:
    """A write whose fate nobody knew was asked for again until it was known."""
    tried: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in evidence.history.attempts:
        if attempt.kind in WRITES:
            tried[attempt.kind, attempt.key or f"{attempt.actor} {attempt.application}"].append(attempt)
    for (kind, key), attempts in tried.items():
        judgement.looked("I2", "writes")
        if not _is_decided(attempts):
            judgement.broken("I2", "a write was never decided", kind=kind, key=key, ops=[a.op for a in attempts][-5:])


def _is_decided(attempts: Sequence[Attempt]) -> bool:
    """Done, or not done for certain. That a later attempt did not come through says nothing about an earlier one."""
    if any(attempt.phase == "ok" for attempt in attempts):
        return True
    if all(attempt.phase == "fail" for attempt in attempts):
        return True
    last = max(attempts, key=lambda attempt: attempt.began)
    return last.phase == "fail" and last.status is not None and last.status < _SERVER_ERROR


# --- what clients were shown -----------------------------------------------------------------------------------------


def _reads(evidence: Evidence, judgement: Judgement) -> None:
    """In the order of the file: a request that began behind an answer must not be told less than that answer said."""
    moments = sorted(
        [(attempt.began, False, attempt) for attempt in evidence.history.attempts]
        + [(attempt.ended, True, attempt) for attempt in evidence.history.attempts],
        key=lambda moment: moment[:2],
    )
    seen: dict[str, int] = {}
    ended: dict[str, str] = {}
    floors: dict[int, tuple[int, str]] = {}
    for _, over, attempt in moments:
        application = attempt.application or ""
        if not over:
            floors[attempt.op] = (seen.get(application, 0), ended.get(application, ""))
        else:
            _hold_against(attempt, *floors.pop(attempt.op), judgement)
            if attempt.phase == "ok" and application and attempt.kind != CONSENT_WITHDRAW:
                seen[application] = max(seen.get(application, 0), attempt.version or 1)
                if attempt.state in APPLICATION_ENDS:
                    ended.setdefault(application, attempt.state)
    for application, version in seen.items():
        known = evidence.applications.get(application)
        if known is None or known.erased:
            continue
        judgement.looked("I2", "applications as they were last shown")
        if known.version < version:
            what = "an application is at an earlier version than was shown"
            judgement.broken("I2", what, application=application, shown=version, is_at=known.version)
        if application in ended and known.status != ended[application]:
            what = "an application that was shown as over has another end"
            judgement.broken("I2", what, application=application, shown=ended[application], status=known.status)


def _hold_against(attempt: Attempt, version: int, ended: str, judgement: Judgement) -> None:
    if attempt.kind != QUERY or attempt.phase not in ("ok", "fail"):
        return
    judgement.looked("I2", "queries")
    about = {"application": attempt.application, "op": attempt.op}
    if attempt.status == _NOT_FOUND and version > 0:
        judgement.broken("I2", "an accepted application was said not to exist", **about)
    if attempt.phase != "ok":
        return
    if attempt.version is not None and attempt.version < version:
        judgement.broken("I2", "a read went back", **about, shown_before=version, shown=attempt.version)
    if ended and attempt.state is not None and attempt.state != ended:
        judgement.broken("I2", "an end that was shown was taken back", **about, shown_before=ended, shown=attempt.state)
