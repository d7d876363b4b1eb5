"""What each service's database keeps of an application that is over, as copies of the rows of real ones.

Sealed parts are copied too and open for nobody, but those of a few (`readable`). Sizes, indexes and row counts are
those of real ones. Of what is kept for some days only, the copies of those days have it.
"""

# ruff: noqa: S608 - put together from constants of this module

from collections.abc import Mapping
from dataclasses import dataclass

from approval.authorisations import KEPT_DAYS as AUTHORISATION_DAYS
from yijian_common.idempotency import KEPT_DAYS as IDEMPOTENCY_DAYS
from yijian_messaging.retention import INBOX_DAYS, SENT_DAYS

from yijian_bench.stored.past import FUNCTIONS, STEP_MS, days_ago


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one table: `statement` reads `copy`, of which there are those up to `last` days ago, or all."""

    table: str
    statement: str
    days: int | None = None

    @property
    def last(self) -> int | None:
        return None if self.days is None else days_ago(self.days)


# `copy` is one chunk; `original` and `original_task` are the applications that are copied, and their tasks.
PREPARE = f"""
{FUNCTIONS}
CREATE TEMP TABLE original (place bigint PRIMARY KEY, id uuid NOT NULL UNIQUE);
CREATE TEMP TABLE original_task (id uuid PRIMARY KEY, application_id uuid NOT NULL, matter text NOT NULL);
CREATE TEMP TABLE copy (n bigint, original uuid, id uuid, at timestamptz);
"""
CHUNK = f"""
INSERT INTO copy SELECT n, o.id, pg_temp.application(n, $1 - n * {STEP_MS}),
    to_timestamp(($1 - n * {STEP_MS}) / 1000.0)
FROM generate_series($2::bigint, $3::bigint) n JOIN original o ON o.place = n % (SELECT count(*) FROM original)
"""


def _inbox(each: int) -> Rows:
    return Rows(
        "inbox",
        f"""INSERT INTO inbox (id, seen_at)
            SELECT substr(uuid_send(c.id), 1, 8) || uuid_send(pg_temp.other(c.n, 'inbox/' || k)), c.at
            FROM copy c, generate_series(1, {each}) k""",
        days=INBOX_DAYS,
    )


APPROVAL = (
    Rows(
        "application",
        """INSERT INTO application (id, life_event, digest, applicant, status, version, state, answers, people,
               data_key, traceparent, submitted_at, next_look_at, held)
           SELECT c.id, a.life_event, a.digest, pg_temp.other(c.n, 'applicant')::text, a.status, a.version,
               replace(a.state, a.id::text, c.id::text), a.answers, a.people, a.data_key, a.traceparent, c.at, NULL,
               false
           FROM copy c JOIN application a ON a.id = c.original""",
    ),
    Rows(
        "application_party",
        """INSERT INTO application_party SELECT pg_temp.hash(c.n, p.party), c.id
           FROM copy c JOIN application_party p ON p.application_id = c.original""",
    ),
    Rows(
        "application_form",
        """INSERT INTO application_form SELECT c.id, f.revision, f.sealed
           FROM copy c JOIN application_form f ON f.application_id = c.original""",
    ),
    Rows(
        "timeline",
        """INSERT INTO timeline SELECT c.id, t.version, t.entry
           FROM copy c JOIN timeline t ON t.application_id = c.original""",
    ),
    Rows(
        "consent",
        """INSERT INTO consent SELECT c.id, s.basis, s.giver, pg_temp.hash(c.n, s.party), s.state, s.means, c.at, c.at,
               c.at, c.at + (s.valid_until - s.given_at)
           FROM copy c JOIN consent s ON s.application_id = c.original""",
    ),
    Rows(
        "authorisation",
        """INSERT INTO authorisation SELECT pg_temp.hash(c.n, u.used), c.id, c.at
           FROM copy c JOIN authorisation u ON u.application_id = c.original""",
        days=AUTHORISATION_DAYS,
    ),
    Rows(
        "disclosure",
        """INSERT INTO disclosure (task_id, application_id, department, matter, disclosed_at, fields)
           SELECT pg_temp.task(c.id, d.matter), c.id, d.department, d.matter, c.at, d.fields
           FROM copy c JOIN disclosure d ON d.application_id = c.original""",
    ),
    Rows(
        "claim",
        """INSERT INTO claim SELECT pg_temp.hash(c.n, k.digest), c.id
           FROM copy c JOIN claim k ON k.application_id = c.original""",
    ),
    Rows(
        "outbox",
        """INSERT INTO outbox (day, shard, event_id, topic, key, headers, value, personal, created_at)
           SELECT (c.at AT TIME ZONE 'UTC')::date, o.shard, pg_temp.other(c.n, o.event_id)::text, o.topic, c.id::text,
               o.headers, o.value, o.personal, c.at
           FROM copy c JOIN outbox o ON o.key = c.original::text""",
        days=SENT_DAYS,
    ),
    _inbox(11),
    Rows(
        "idempotency_keys",
        """INSERT INTO idempotency_keys
           SELECT pg_temp.hash(c.n, i.key_index), i.request_digest, i.response, c.id, c.at
           FROM copy c JOIN idempotency_keys i ON i.about = c.original""",
        days=IDEMPOTENCY_DAYS,
    ),
)
DATA_EXCHANGE = (
    Rows(
        "case_key",
        """INSERT INTO case_key SELECT c.id, k.data_key FROM copy c JOIN case_key k ON k.case_id = c.original""",
    ),
    Rows(
        "case_person",
        """INSERT INTO case_person SELECT pg_temp.hash(c.n, p.person), c.id, p.role
           FROM copy c JOIN case_person p ON p.case_id = c.original""",
    ),
    Rows(
        "disclosure",
        """INSERT INTO disclosure SELECT pg_temp.task(c.id, t.matter), c.id, c.at, d.sealed
           FROM copy c JOIN original_task t ON t.application_id = c.original JOIN disclosure d ON d.id = t.id""",
    ),
    Rows(
        "consent",
        """INSERT INTO consent SELECT pg_temp.derived(c.id, 'consent/' || s.basis || s.role), c.id,
               pg_temp.hash(c.n, s.giver), s.role, s.basis, s.text_digest, c.at, c.at + (s.valid_until - s.given_at),
               NULL, s.sealed
           FROM copy c JOIN consent s ON s.case_id = c.original""",
    ),
    # A commitment that nobody can open, as most are for everybody; the form is the one that is verified.
    Rows(
        "ledger.leaf",
        """INSERT INTO ledger.leaf (index, id, data)
           SELECT (SELECT coalesce(max(index) + 1, 0) FROM ledger.leaf) + row_number() OVER () - 1, n.id,
               convert_to('{"commitment":"' || encode(n.commitment, 'hex') || '","id":"' || n.id
                   || '","kind":"disclosure","v":1}', 'UTF8')
           FROM (SELECT pg_temp.task(c.id, t.matter) AS id, pg_temp.hash(c.n, t.matter::bytea) AS commitment
               FROM copy c JOIN original_task t ON t.application_id = c.original) n""",
    ),
    Rows(
        "outbox",
        """INSERT INTO outbox (day, shard, event_id, topic, key, headers, value, personal, created_at)
           SELECT (c.at AT TIME ZONE 'UTC')::date, o.shard, pg_temp.other(c.n, o.event_id)::text, o.topic, o.key,
               o.headers, o.value, o.personal, c.at
           FROM copy c, (SELECT * FROM outbox WHERE topic = 'data-exchange.checkpoints' ORDER BY id LIMIT 1) o""",
        days=SENT_DAYS,
    ),
    _inbox(12),
)
IDENTITY = (
    Rows(
        "people",
        """INSERT INTO people (id, kind, account, real_name_level, id_index, data_key, sealed, created_at)
           SELECT pg_temp.other(c.n, role), p.kind, role || '-of-' || c.n, p.real_name_level,
               pg_temp.hash(c.n, role::bytea), p.data_key, p.sealed, c.at
           FROM copy c, unnest(ARRAY['mother', 'father']) role,
               (SELECT * FROM people WHERE kind = 'CITIZEN' ORDER BY id LIMIT 1) p""",
    ),
    Rows(
        "holder",
        """INSERT INTO holder SELECT pg_temp.other(c.n, 'holder/' || k.child), h.kind, pg_temp.hash(c.n, h.id_index),
               h.data_key, h.sealed, c.at
           FROM copy c JOIN case_holder k ON k.application_id = c.original JOIN holder h ON h.id = k.holder_id""",
    ),
    Rows(
        "case_holder",
        """INSERT INTO case_holder SELECT c.id, k.child, pg_temp.other(c.n, 'holder/' || k.child)
           FROM copy c JOIN case_holder k ON k.application_id = c.original""",
    ),
    Rows(
        "guardian",
        """INSERT INTO guardian SELECT pg_temp.hash(c.n, g.role::bytea), pg_temp.other(c.n, 'holder/' || k.child),
               g.role, g.sealed, CASE WHEN g.registered_at IS NOT NULL THEN c.at END
           FROM copy c JOIN case_holder k ON k.application_id = c.original JOIN guardian g USING (holder_id)""",
    ),
    Rows(
        "document",
        """INSERT INTO document (id, holder_id, application_id, department, matter, kind, name, version,
               identifier_index, sealed, issued_at, expires_at)
           SELECT pg_temp.derived(c.id, 'document/' || d.kind), pg_temp.other(c.n, 'holder/' || k.child), c.id,
               d.department, d.matter, d.kind, d.name, d.version, pg_temp.hash(c.n, d.identifier_index), d.sealed,
               c.at, c.at + (d.expires_at - d.issued_at)
           FROM copy c JOIN case_holder k ON k.application_id = c.original JOIN document d USING (holder_id)""",
    ),
    _inbox(8),
)
# A week after its invitation nobody could review any more: what nobody had said anything about is counted as such.
_CLOSED = "c.at < now() - interval '10 days'"
_DAY = "(c.at AT TIME ZONE 'Asia/Shanghai')::date"
RATING = (
    Rows(
        "invitation",
        f"""INSERT INTO invitation SELECT pg_temp.other(c.n, 'invitation'), pg_temp.hash(c.n, i.person), c.id,
               i.life_event, i.data_key, c.at, c.at, c.at + (i.closes_at - i.completed_at), i.provisional,
               CASE WHEN NOT {_CLOSED} THEN c.at + (i.closes_at - i.completed_at) END
           FROM copy c JOIN invitation i ON i.application_id = c.original""",
    ),
    Rows(
        "handling",
        f"""INSERT INTO handling SELECT pg_temp.other(c.n, 'handling/' || h.matter),
               pg_temp.other(c.n, 'invitation'), h.department, h.matter, h.name, h.child, h.granted,
               h.promised_minutes, h.taken_minutes, h.visits, h.online, CASE WHEN {_CLOSED} THEN c.at END
           FROM copy c JOIN invitation i ON i.application_id = c.original JOIN handling h ON h.invitation_id = i.id""",
    ),
    # One in five says something about a matter, and is content.
    Rows(
        "review",
        """INSERT INTO review (id, handling_id, invitation_id, number, state, level, options, marks, channel,
               needs_verify, sealed, given_at)
           SELECT pg_temp.other(c.n, 'review'), pg_temp.other(c.n, 'handling/B2'), pg_temp.other(c.n, 'invitation'), 1,
               'ACTIVE', 'VERY_SATISFIED', '{}', '[]', 'MOBILE', '{}',
               pg_temp.hash(c.n, 'a') || pg_temp.hash(c.n, 'b') || pg_temp.hash(c.n, 'c'), c.at
           FROM copy c WHERE c.n % 5 = 0""",
    ),
    # At so few a day each application is a batch of its own, and each department a fact.
    Rows(
        "fact",
        f"""INSERT INTO fact (cause, kind, department, day, times, at)
           SELECT pg_temp.other(c.n, kind || department), kind, department, {_DAY}, 1, c.at
           FROM copy c, (SELECT DISTINCT department FROM handling LIMIT 7) d, unnest(ARRAY['INVITED', 'DEFAULTED']) kind
           WHERE kind = 'INVITED' OR {_CLOSED}""",
    ),
    Rows(
        "figure",
        f"""INSERT INTO figure SELECT d.department, c.day, '{{"INVITED": 3910, "DEFAULTED": 3800}}'
           FROM (SELECT DISTINCT {_DAY} AS day FROM copy c) c, (SELECT DISTINCT department FROM figure) d
           ON CONFLICT DO NOTHING""",
    ),
    _inbox(1),
)

BY_SERVICE: Mapping[str, tuple[Rows, ...]] = {
    "approval": APPROVAL,
    "data-exchange": DATA_EXCHANGE,
    "identity": IDENTITY,
    "rating": RATING,
}
