"""I12: nothing that identifies a person stands in a log, a key, a header, an error or a history.

Identity numbers and names of the families are looked for, as they are and as JSON writes them in ASCII: in every log,
in keys and headers of every topic, in the errors of dead letters, in incidents, in states and timelines of
applications, in the clients' history. In the departments' topics, where they may stand, they were found: else the
search says nothing.
"""

from yijian_chaos.checker.evidence import Evidence
from yijian_chaos.checker.verdict import Judgement


def judge(evidence: Evidence, judgement: Judgement) -> None:
    for place, size in evidence.snapshot.searched.items():
        judgement.looked("I12", f"bytes of {place}", size)
    judgement.looked("I12", "canaries that are found where they may stand", evidence.snapshot.sound)
    if not evidence.snapshot.sound:
        judgement.broken("I12", "no canary was found even where they may stand, so the search says nothing")
    for leak in evidence.snapshot.leaks:
        what = "something that identifies a person stands where it must not"
        judgement.broken("I12", what, place=leak.place, canary=leak.canary)
