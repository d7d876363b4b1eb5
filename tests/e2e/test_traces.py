"""One application is one trace, through every process that had a part in it."""

import pytest
from yijian_common.settings import ProcessSettings
from yijian_contracts.departments import departments
from yijian_contracts.events import ApplicationOutcome
from yijian_examples.forms import form_of
from yijian_messaging.testing import wait_until

from tests.e2e.canaries import canaries
from tests.e2e.city import City, all_services
from tests.e2e.collector import Span, collecting

pytestmark = pytest.mark.e2e


async def test_a_whole_application_is_one_trace_across_all_processes(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    taking_part = [name for name in all_services() if name != "identity"]
    with collecting() as collector:
        city.restart(
            *taking_part, settings={"YIJIAN_TRACE_ENDPOINT": collector.url, "YIJIAN_TRACE_SAMPLE_RATIO": "1.0"}
        )
        try:
            application = await mother.apply(form_of(one))
            done = await mother.wait_until_over(application)
            assert done.outcome is ApplicationOutcome.ALL_GRANTED
            expected = {"approval", *(department.principal for department in departments().values())}

            async def has_come_in() -> bool:
                spans = _trace_of_submission(collector.received)
                answers = [s for s in spans if s.name == "process approval.results"]
                return {s.service for s in spans} >= expected and len(answers) >= len(done.tasks)

            await wait_until(has_come_in, what=f"spans of {sorted(expected)}")
        finally:
            city.restart(*taking_part)
        spans = _trace_of_submission(collector.received)

    processing = [span for span in collector.received if span.name.startswith("process ")]
    assert {span.trace_id for span in processing} == {spans[0].trace_id}
    # Each span hangs on another one of the same trace, up to the request with which it began.
    known = {span.span_id for span in spans}
    assert [span.name for span in spans if span.parent_id not in known] == ["POST /v1/applications"]
    for canary in canaries([one]):
        assert not any(canary in body for body in collector.bodies), "a span holds what identifies a person"


def _trace_of_submission(received: list[Span]) -> list[Span]:
    begun = [span.trace_id for span in received if span.name == "POST /v1/applications"]
    assert len(begun) <= 1
    return [span for span in list(received) if span.trace_id in begun]


def test_as_shipped_one_application_in_a_hundred_is_traced(city: City):
    assert ProcessSettings(service="approval", http_port=1).trace_sample_ratio == 0.01
    for name in all_services():
        assert "YIJIAN_TRACE_SAMPLE_RATIO" not in city.platform.environment(name)
