"""I10: a department sees its own two topics and nobody else's.

Each department tried, with its own credentials: it was listed no topic but its own, was given no record of another, and
was refused by each, and the broker's log says so. Whether a department was let in for a moment earlier in the run does
not show: the broker writes down whom it refuses, not whom it lets in.
"""

from yijian_chaos.checker.evidence import Evidence
from yijian_chaos.checker.facts import DEPARTMENTS, WRITERS
from yijian_chaos.checker.probe_access import own_topics, principal_of
from yijian_chaos.checker.verdict import Judgement


def judge(evidence: Evidence, judgement: Judgement) -> None:
    probes = {probe.principal: probe for probe in evidence.snapshot.probes}
    for code in DEPARTMENTS:
        probe = probes.get(principal_of(code))
        if probe is None:
            judgement.broken("I10", "nobody tried what a department may", principal=principal_of(code))
            continue
        own = own_topics(code)
        judgement.looked("I10", "topics that refused a department", len(probe.refused))
        for topic in sorted(set(probe.listed) - own):
            judgement.broken("I10", "a department is shown another's topic", principal=probe.principal, topic=topic)
        for topic in sorted(set(probe.read) - own):
            judgement.broken("I10", "a department read another's topic", principal=probe.principal, topic=topic)
        if not own <= set(probe.listed):
            what = "a department is not shown its own topics, so the trial says nothing"
            judgement.broken("I10", what, principal=probe.principal, listed=sorted(probe.listed))
        for topic in sorted(WRITERS.keys() - own - set(probe.refused) - set(probe.read)):
            what = "a topic neither refused a department nor gave it anything"
            judgement.broken("I10", what, principal=probe.principal, topic=topic)
    judgement.looked("I10", "refusals in the broker's log", evidence.snapshot.refusals_logged)
    if not evidence.snapshot.refusals_logged:
        judgement.broken("I10", "the broker wrote down no refusal, so its log says nothing")
