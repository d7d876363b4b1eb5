"""What the ledger has not covered yet, rectifications on their way, and erasures that are not finished."""

from yijian_common.migrations import execute

revision = "0003"
down_revision = "0002"

APPROVAL = """
-- Disclosures that no checkpoint covers yet: a second's worth while all is well.
CREATE TABLE disclosure_uncovered (
    task_id      uuid PRIMARY KEY,
    disclosed_at timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX disclosure_uncovered_age ON disclosure_uncovered (disclosed_at);

-- Covered before we had (again) written down that it was disclosed: only after a restore from a backup.
CREATE TABLE disclosure_covered_early (
    disclosure_id uuid PRIMARY KEY,
    covered_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX disclosure_covered_early_age ON disclosure_covered_early (covered_at);

-- Applications with a task that is ready and not requested, because the ledger is behind.
ALTER TABLE application ADD COLUMN held boolean NOT NULL DEFAULT false;
CREATE INDEX application_held ON application (submitted_at) WHERE held;

-- Orders to put right what was rated badly. `sealed` is what rating said, until the department has it.
CREATE TABLE rectification (
    task_id      uuid PRIMARY KEY,
    order_id     uuid        NOT NULL,
    round        integer     NOT NULL,
    department   text        NOT NULL,
    matter       text        NOT NULL,
    state        text        NOT NULL,
    digest       text        NOT NULL DEFAULT '',
    sealed       bytea       NOT NULL,
    requested_at timestamptz NOT NULL,
    answered_at  timestamptz,
    next_look_at timestamptz
);
CREATE INDEX rectification_order ON rectification (order_id, task_id);
CREATE INDEX rectification_next_look ON rectification (next_look_at) WHERE next_look_at IS NOT NULL;

-- Applications that were erased while the outbox and the dead letters may still hold something of them.
CREATE TABLE erasure_unfinished (
    application_id uuid PRIMARY KEY,
    since          timestamptz NOT NULL,
    erased_at      timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    execute(APPROVAL)
