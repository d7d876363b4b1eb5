"""A birth through seven departments of which one is a plain Java program: approval cannot tell the difference.

`test_java_department.py` has the whole contract; here the real approval asks, and judges the answers.
"""

import asyncio
from collections.abc import Iterator
from uuid import UUID

import pytest
from approval.application import TaskState
from typer.testing import CliRunner
from yijian_cli.main import app
from yijian_contracts.cloudevents import decode
from yijian_contracts.events import AnswerParts, ApplicationOutcome, TaskAnswered
from yijian_embedded.java import compile_java
from yijian_embedded.platform import Platform
from yijian_examples.family import Family, Kind
from yijian_examples.forms import form_of
from yijian_messaging.testing import wait_until

from tests.e2e.broker import read_all
from tests.e2e.city import City, Resident, states
from tests.e2e.java_department import CODE, ENTRY, SOURCE, JavaDepartment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def java(running_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaDepartment]:
    """The Java program in the place of ours; a test that ends it starts it again."""
    classes = tmp_path_factory.mktemp("classes")
    compile_java(running_platform.home, SOURCE, into=classes)
    running_platform.stop_service(CODE)
    program = JavaDepartment(running_platform, classes, tmp_path_factory.mktemp("java") / "store")
    program.start()
    yield program
    program.kill()
    running_platform.start_service(CODE)


def answers(city: City, application: UUID) -> list[TaskAnswered]:
    """Everything that the department decided about this application, each time it said so."""
    records = read_all(city.platform.kafka_credentials("approval"), ENTRY.results_topic)
    said = [decode(r.headers, r.value).data for r in records if r.key == str(application).encode()]
    return [event for event in said if isinstance(event, TaskAnswered)]


async def apply_until_asked(city: City, java: JavaDepartment) -> tuple[Family, Resident, UUID]:
    """An application whose task lies in Kafka while the program is down."""
    java.kill()
    one = city.families.take()
    mother = city.resident(one.account)
    application = await mother.apply(form_of(one))
    await mother.wait_for_state(application, B3_1=TaskState.SUBMITTED)
    return one, mother, application


async def test_a_birth_is_granted_with_a_department_in_java(city: City, java: JavaDepartment):
    one = city.families.take(Kind.TWINS)
    mother = city.resident(one.account)
    application = await mother.apply(form_of(one))

    done = await mother.wait_until_over(application)
    assert done.outcome is ApplicationOutcome.ALL_GRANTED
    assert states(done)["B3-1"] is states(done)["B3-2"] is TaskState.CLOSED
    numbers = {answer.personal.outputs["vaccination_archive_no"] for answer in answers(city, application)}
    assert len(numbers) == 2
    assert numbers <= set(java.effects())


async def test_killed_while_asked_it_answers_when_it_is_back(city: City, java: JavaDepartment):
    _, mother, application = await apply_until_asked(city, java)
    java.start()
    assert (await mother.wait_until_over(application)).outcome is ApplicationOutcome.ALL_GRANTED
    assert len(answers(city, application)) == 1


async def test_asked_again_after_a_silence_it_answers_once(
    city: City, java: JavaDepartment, monkeypatch: pytest.MonkeyPatch
):
    _, mother, application = await apply_until_asked(city, java)
    monkeypatch.setenv("YIJIAN_HOME", str(city.platform.home.folder))
    words = ["tasks", "resend", str(application), "--reason", "no answer"]
    sent = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert sent.exit_code == 0, sent.output

    async def twice() -> bool:
        return len(city.tasks_of(CODE, application)) == 2

    await wait_until(twice, what="the second request")
    java.start()
    done = await mother.wait_until_over(application)
    assert done.outcome is ApplicationOutcome.ALL_GRANTED

    async def answered_twice() -> bool:
        return len(answers(city, application)) == 2

    await wait_until(answered_twice, what="both answers")
    first, second = answers(city, application)
    assert first == second
    assert java.effects().count(str(first.personal.outputs["vaccination_archive_no"])) == 1
    assert city.incidents("answer-differs", application) == []


async def test_a_second_different_answer_changes_nothing_and_is_told(city: City, java: JavaDepartment):
    assert java
    one = city.families.take()
    mother = city.resident(one.account)
    application = await mother.apply(form_of(one))
    done = await mother.wait_until_over(application)
    (first,) = answers(city, application)

    documents = tuple(document.model_copy(update={"number": "JZ-0000-0001"}) for document in first.personal.documents)
    outputs = {"vaccination_archive_no": "JZ-0000-0001"}
    second = first.model_copy(update={"personal": AnswerParts(outputs=outputs, documents=documents)})
    city.speak_for(CODE, second)  # under the same event id, since that follows from the task

    async def told() -> bool:
        return len(city.incidents("answer-differs", first.task_id)) == 1

    await wait_until(told, what="the incident")
    assert states(await mother.application(application)) == states(done)
