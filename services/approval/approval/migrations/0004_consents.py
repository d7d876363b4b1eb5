"""Consents of applications, authorisations that were used, and how far withdrawals were told."""

from yijian_common.migrations import execute

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    execute(
        """
        -- Its id is derived from the first three. What the engine goes by stands in the application's state; this is to
        -- find what waits for a person, and to show when and how each was answered.
        CREATE TABLE consent (
            application_id uuid        NOT NULL,
            basis          text        NOT NULL,
            giver          text        NOT NULL,
            party          bytea       NOT NULL,
            state          text        NOT NULL,
            means          text,
            asked_at       timestamptz NOT NULL,
            changed_at     timestamptz NOT NULL,
            given_at       timestamptz,
            valid_until    timestamptz,
            PRIMARY KEY (application_id, basis, giver)
        ) WITH (fillfactor = 80);
        CREATE INDEX consent_pending ON consent (party) WHERE state = 'PENDING';

        -- Each authorisation is good for one application. A row outlives the authorisation, which ends by itself.
        CREATE TABLE authorisation (
            used           bytea       PRIMARY KEY,
            application_id uuid        NOT NULL,
            used_at        timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX authorisation_used_at ON authorisation (used_at);

        -- Every withdrawal of a consent that was committed before `as_of` has been carried out here.
        CREATE TABLE withdrawals_told (
            one   boolean     PRIMARY KEY DEFAULT true CHECK (one),
            as_of timestamptz NOT NULL
        );
        INSERT INTO withdrawals_told (as_of) VALUES ('-infinity');

        -- A withdrawal that could not be carried out holds back what rests on consents until somebody has looked.
        CREATE INDEX dead_letter_open ON dead_letter (consumer) WHERE state IN ('DEAD', 'REPLAY');
        """
    )
