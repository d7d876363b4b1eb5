"""What departments issue and register comes into wallets, in whatever order and however often it is told."""

import itertools
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from identity.accounts import load_accounts
from identity.people import Person
from identity.provider import OpenIdProvider
from identity.wallet.documents import Document, DocumentStatus, comes_of_age
from identity.wallet.holders import Role
from identity.wallet.queries import Relation, Viewer, list_documents, list_relations
from identity.wallet.testing import Case, arrive, citizen_number, moment
from yijian_common.tokens import Kind, RealNameLevel
from yijian_contracts.events import Event
from yijian_contracts.identifiers import make_citizen_id, parse_licence_identifier

pytestmark = [pytest.mark.postgres]


@dataclass(frozen=True)
class Wallets:
    """Wallets by identity number, with an account or without one."""

    provider: OpenIdProvider

    async def tell(self, *events: Event) -> list[str]:
        """Hand events over, each in a batch of its own; returns what was rejected."""
        return [rejected.error for event in events for rejected in await arrive(self.provider, event)]

    def viewer(self, number: str) -> Viewer:
        person = Person(
            id=uuid4(),
            kind=Kind.CITIZEN,
            account="a",
            name="某人",
            id_no=number,
            mobile=None,
            real_name_level=RealNameLevel.L3,
            post=None,
        )
        return Viewer(person, self.provider.keyring.blind_index("id_no", number))

    async def of(self, number: str | None) -> list[Document]:
        keyring = self.provider.keyring
        async with self.provider.pool.acquire() as held:
            found, _ = await list_documents(held, self.viewer(number or ""), keyring=keyring, before=None, limit=50)
        return found

    async def names(self, number: str | None) -> set[str]:
        return {document.kind for document in await self.of(number)}

    async def relations(self, number: str | None) -> list[Relation]:
        async with self.provider.pool.acquire() as held:
            return await list_relations(held, self.viewer(number or ""), keyring=self.provider.keyring)

    async def count(self, table: str) -> int:
        found: int = await self.provider.pool.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own names
        return found


@pytest.fixture
def wallets(provider: OpenIdProvider) -> Wallets:
    return Wallets(provider)


async def test_a_childs_document_is_shown_to_both_parents_before_the_child_has_a_number(wallets: Wallets) -> None:
    case = Case()
    await wallets.tell(case.document("birth-certificate"))

    for parent, role in ((case.mother, Role.MOTHER), (case.father, Role.FATHER)):
        (document,) = await wallets.of(parent)
        assert (document.kind, document.role, document.number) == ("birth-certificate", role, "Z990000001")
        assert document.holder_id_no is None
    assert await wallets.of(citizen_number(date(1990, 1, 1))) == []


async def test_the_two_events_of_a_newborn_come_in_any_order_and_again(wallets: Wallets) -> None:
    for order in itertools.permutations(range(4)):
        case = Case()
        certificate = case.document("birth-certificate")
        page = case.document("household-page", owner=case.children[0], number="H-1")
        told = [certificate, case.relation(), page, certificate]

        assert await wallets.tell(*(told[place] for place in order)) == []

        for number in (case.mother, case.father, case.children[0]):
            assert await wallets.names(number) == {"birth-certificate", "household-page"}
        documents = await wallets.of(case.children[0])
        assert {document.holder_id_no for document in documents} == {case.children[0]}
        assert {document.status(datetime.now(UTC)) for document in documents} == {DocumentStatus.VALID}
        (relation,) = await wallets.relations(case.father)
        assert relation.role is Role.FATHER
        assert relation.id_no == f"990***********{case.children[0][-4:]}"


async def test_one_batch_comes_to_the_same_as_many(wallets: Wallets) -> None:
    cases = [Case() for _ in range(20)]
    events = [event for case in cases for event in (case.document("birth-certificate"), case.relation())]
    events += [case.document("birth-registration", child=None, number="S-1") for case in cases]

    assert await arrive(wallets.provider, *events) == []
    assert await arrive(wallets.provider, *events) == []

    assert (await wallets.count("document"), await wallets.count("holder")) == (40, 40)
    for case in cases:
        assert await wallets.names(case.mother) == {"birth-certificate", "birth-registration"}
        assert await wallets.names(case.children[0]) == {"birth-certificate"}


async def test_twins_have_a_wallet_each(wallets: Wallets) -> None:
    case = Case(children=(citizen_number(date(2026, 11, 1)), citizen_number(date(2026, 11, 1))))
    await wallets.tell(
        case.document(child=1, number="Z990000001"), case.document(child=2, number="Z990000002"), case.relation(2)
    )

    assert {document.number for document in await wallets.of(case.mother)} == {"Z990000001", "Z990000002"}
    assert [document.number for document in await wallets.of(case.children[1])] == ["Z990000002"]
    assert await wallets.of(case.children[0]) == [], "the first is not registered yet"

    await wallets.tell(case.relation(1))
    assert [document.number for document in await wallets.of(case.children[0])] == ["Z990000001"]


async def test_a_father_whom_the_register_does_not_name_loses_what_the_form_gave_him(wallets: Wallets) -> None:
    case = Case()
    await wallets.tell(case.document())
    assert await wallets.names(case.father) == {"birth-certificate"}

    await wallets.tell(case.relation(father=None))
    assert await wallets.names(case.father) == set()
    # And a late document of the form's opinion does not bring him back.
    await wallets.tell(case.document("vaccination-record"))
    assert await wallets.names(case.father) == set()
    assert await wallets.names(case.mother) == {"birth-certificate", "vaccination-record"}


async def test_both_opinions_in_one_batch_come_to_what_the_register_says(wallets: Wallets) -> None:
    case = Case()
    assert await arrive(wallets.provider, case.document(), case.relation(father=None)) == []
    assert await wallets.names(case.father) == set()
    assert await wallets.names(case.mother) == {"birth-certificate"}


async def test_without_a_father_there_is_one_guardian(wallets: Wallets) -> None:
    case = Case(father=None)
    await wallets.tell(case.document(), case.relation(), case.document("birth-registration", child=None))
    assert await wallets.names(case.mother) == {"birth-certificate", "birth-registration"}
    assert len(await wallets.relations(case.mother)) == 1


async def test_the_familys_document_is_both_parents_and_not_the_childs(wallets: Wallets) -> None:
    case = Case()
    await wallets.tell(case.relation(), case.document("birth-registration", child=None, number="S-1"))
    assert await wallets.names(case.mother) == await wallets.names(case.father) == {"birth-registration"}
    assert await wallets.names(case.children[0]) == set()


async def test_a_parents_own_document_is_nobody_elses(wallets: Wallets) -> None:
    case = Case()
    await wallets.tell(case.relation(), case.document("birth-registration", child=None, owner=case.mother))
    assert await wallets.names(case.mother) == {"birth-registration"}
    assert await wallets.names(case.father) == await wallets.names(case.children[0]) == set()


async def test_a_parent_without_an_account_finds_everything_once_there_is_one(wallets: Wallets, tmp_path: Path) -> None:
    case = Case()
    await wallets.tell(case.document(), case.relation())
    assert (await wallets.relations(case.children[0]))[0].name is None

    accounts = tmp_path / "people.jsonl"
    accounts.write_text(
        json.dumps(
            {
                "kind": "citizen",
                "account": "late-0001",
                "name": "赵一一",
                "id_no": case.mother,
                "real_name_level": "L3",
            }
        )
    )
    assert await load_accounts(wallets.provider.pool, wallets.provider.keyring, accounts, allow_fictitious=True) == 1

    assert await wallets.names(case.mother) == {"birth-certificate"}
    assert {parent.role: parent.name for parent in await wallets.relations(case.children[0])} == {
        Role.MOTHER: "赵**",
        Role.FATHER: None,
    }


async def test_a_reissue_cancels_the_one_before_and_raises_the_version(wallets: Wallets) -> None:
    case = Case()
    first, second = case.document(number="Z990000001"), case.document(number="Z990000002")
    await wallets.tell(first, second, case.relation())

    new, old = await wallets.of(case.mother)
    now = datetime.now(UTC)
    assert (new.number, new.version, new.status(now)) == ("Z990000002", 2, DocumentStatus.VALID)
    assert (old.number, old.version, old.status(now)) == ("Z990000001", 1, DocumentStatus.CANCELLED)
    assert parse_licence_identifier(new.identifier).version == 2
    assert parse_licence_identifier(new.identifier).serial == parse_licence_identifier(second.identifier).serial


async def test_an_older_one_that_comes_late_does_not_take_the_newer_ones_place(wallets: Wallets) -> None:
    case = Case()
    older, newer = case.document(number="Z990000001"), case.document(number="Z990000002")
    await wallets.tell(newer, older)
    now = datetime.now(UTC)
    assert [(document.number, document.status(now)) for document in await wallets.of(case.mother)] == [
        ("Z990000002", DocumentStatus.VALID),
        ("Z990000001", DocumentStatus.CANCELLED),
    ]


async def test_what_is_only_told_again_by_another_application_is_no_reissue(wallets: Wallets) -> None:
    case = Case()
    await wallets.tell(case.document(number="Z990000001"), case.relation())
    # The first application was withdrawn afterwards: what it brought stands. The second only proves the certificate.
    again = Case(mother=case.mother, father=case.father, children=case.children)
    await wallets.tell(again.document(number="Z990000001", owner=case.children[0]), again.relation())

    (document,) = await wallets.of(case.mother)
    assert (document.application_id, document.version) == (case.id, 1)


async def test_a_second_application_finds_out_that_its_newborn_is_known(wallets: Wallets) -> None:
    case = Case()
    await wallets.tell(case.document(number="Z990000001"), case.relation())
    again = Case(mother=case.mother, father=case.father, children=case.children)
    await wallets.tell(again.document("vaccination-record", number="V-1"), again.document(number="Z990000002"))
    assert len(await wallets.of(case.mother)) == 3
    assert len(await wallets.of(case.children[0])) == 1

    await wallets.tell(again.relation())

    now = datetime.now(UTC)
    in_force = {d.number for d in await wallets.of(case.children[0]) if d.status(now) is DocumentStatus.VALID}
    assert in_force == {"V-1", "Z990000002"}
    assert {document.holder_id_no for document in await wallets.of(case.mother)} == {case.children[0]}
    assert await wallets.count("holder") == 1
    # And in one batch the newborn never exists at all.
    third = Case(mother=case.mother, father=case.father, children=case.children)
    assert await arrive(wallets.provider, third.document("household-page", number="H"), third.relation()) == []
    assert len(await wallets.of(case.children[0])) == 4
    assert await wallets.count("holder") == 1


async def test_one_child_of_an_application_has_one_number(wallets: Wallets) -> None:
    case = Case()
    await wallets.tell(case.relation(), case.document())
    other = citizen_number(date(2026, 11, 2))

    assert await wallets.tell(case.relation(child_id_no=other)) == [
        "this child of the application has another number already"
    ]
    assert await wallets.tell(case.document(owner=other)) == [
        "this child of the application has another number already"
    ]
    assert await wallets.of(other) == []


async def test_guardianship_ends_on_the_eighteenth_birthday_without_anything_being_written(wallets: Wallets) -> None:
    today = datetime.now(UTC) + timedelta(hours=8)
    grown = make_citizen_id("990101", date(today.year - 18, today.month, today.day if today.day < 29 else 28), 321)
    minor = make_citizen_id("990101", date(today.year - 17, today.month, 1), 321)
    for child, open_to_parents in ((grown, False), (minor, True)):
        case = Case(children=(child,))
        await wallets.tell(case.relation(), case.document(owner=child))
        assert len(await wallets.of(case.mother)) == (1 if open_to_parents else 0)
        assert len(await wallets.of(child)) == 1
        (relation,) = await wallets.relations(case.mother)
        assert relation.is_guarded(datetime.now(UTC)) is open_to_parents, "the relation stays, the right ends"


def test_who_is_born_on_a_leap_day_comes_of_age_on_the_first_of_march() -> None:
    assert comes_of_age(make_citizen_id("990101", date(2008, 2, 29), 1), moment()) == date(2026, 3, 1)
    assert comes_of_age(None, datetime(2026, 11, 20, 17, tzinfo=UTC)) == date(2044, 11, 21)


async def test_what_is_stored_shows_no_number(wallets: Wallets) -> None:
    case = Case()
    await wallets.tell(
        case.document(number="Z991234567"), case.relation(), case.document("birth-registration", child=None)
    )
    for table in ("holder", "case_holder", "guardian", "document"):
        rows = await wallets.provider.pool.fetch(f"SELECT {table}::text AS row FROM {table}")  # noqa: S608 - our own names
        stored = "\n".join(row["row"] for row in rows)
        for canary in (case.mother, case.father, case.children[0], "Z991234567"):
            assert canary not in stored
            assert (canary or "").encode().hex() not in stored
