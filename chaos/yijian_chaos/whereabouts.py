"""Where things of a platform are, as plain addresses. Nothing else tells the checker of it."""

from collections.abc import Iterable, Iterator

from psycopg.conninfo import make_conninfo
from yijian_contracts.departments import departments
from yijian_contracts.topics import principals
from yijian_embedded.platform import Platform
from yijian_examples.family import Family

from yijian_chaos.checker.sources import Sources
from yijian_chaos.client import Addresses
from yijian_chaos.rest import Where
from yijian_chaos.stage import Stage
from yijian_chaos.topology import APIS, FURTHER_PROCESSES, MEMBERS, readers

SERVICES = ("approval", "identity", "data-exchange", "rating")
# The largest pool that a process keeps, and its connections for listening, leases and the signer beside it.
LARGEST_POOL = 10
BESIDE_THE_POOL = 3


def databases(platform: Platform) -> dict[str, str]:
    """Each service's database, for the administrator."""
    return {name: make_conninfo(platform.postgres_admin_url, dbname=name) for name in SERVICES}


def where_to_look(platform: Platform) -> Where:
    """What tells whether the platform is at rest."""
    return Where(
        databases=databases(platform),
        stores={code: platform.home.department_store(code) for code in departments()},
        kafka=platform.kafka_admin.client_config(),
    )


def sources_of(platform: Platform, families: Iterable[Family]) -> Sources:
    """Everything that the checker reads; `families` are those whose data may stand nowhere in the open."""
    home = platform.home
    brokers = tuple(home.log(name) for name in platform.brokers)
    on_stage = any(platform.process(name) is not None for name in FURTHER_PROCESSES)
    return Sources(
        databases=databases(platform),
        stores={code: home.department_store(code) for code in departments()},
        records={code: home.records / f"{code}.jsonl" for code in departments()},
        admin=platform.kafka_admin.client_config(),
        principals={name: platform.kafka_credentials(name).client_config() for name in principals()},
        ledger_key=home.ledger_public_key.read_text(encoding="utf-8"),
        ledger_url=platform.url("data-exchange"),
        witness_key=home.witness_public_key.read_text(encoding="utf-8"),
        witness_store=home.witness_store,
        witness_url=platform.url("witness"),
        logs=tuple(path for path in sorted(home.logs.iterdir()) if path not in brokers),
        broker_logs=brokers,
        canaries=tuple(sorted({text for one in families for text in _canaries(one)})),
        backends_allowed=sum(member.has_database for member in MEMBERS.values()) * (LARGEST_POOL + BESIDE_THE_POOL),
        processes={store: len(readers(store)) if on_stage else 1 for store in (*SERVICES, *departments())},
    )


def spread(numbers: range, wanted: int) -> range:
    """At least so many of these numbers, or all, the same distance apart."""
    return numbers[:: max(1, len(numbers) // wanted)]


def _canaries(one: Family) -> Iterator[str]:
    """What identifies a family wherever it stands: numbers, names, addresses."""
    for person in (one.mother, one.father):
        yield from (person.name, person.id_no, person.mobile)
    yield from (home.address for home in one.households)
    yield one.bank_account
    for child in one.delivery.newborns:
        yield child.surname + child.given_name


def addresses_of(stage: Stage) -> Addresses:
    """Where clients ask."""
    return Addresses(
        approval=dict(zip(APIS, stage.approval_urls, strict=True)),
        data_exchange=stage.url("data-exchange"),
        identity=stage.url("identity"),
    )
