-- The ledger in data-exchange's database: written once, never changed. Run by an administrator, free to repeat.
-- No column holds what can be computed from another one, or what neither a hash nor a signature covers: it could be
-- changed and nobody would know. So no leaf's hash, no root, no times.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger') THEN
        CREATE ROLE ledger NOLOGIN NOINHERIT;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another run was quicker
END $$;

DO $$
BEGIN
    -- An administrator who is not a superuser has to be a member to hand things over.
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT ledger TO %I', current_user);
    END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS ledger AUTHORIZATION ledger;
REVOKE ALL ON SCHEMA ledger FROM PUBLIC;
GRANT USAGE ON SCHEMA ledger TO "data-exchange";

-- Leaf `index` of the tree. `id` is by what it is looked up, and stands in `data` as well.
CREATE TABLE IF NOT EXISTS ledger.leaf (
    index bigint PRIMARY KEY CHECK (index >= 0),
    id    uuid  NOT NULL UNIQUE,
    data  bytea NOT NULL CHECK (length(data) <= 1024)
);

-- Full tiles (C2SP tlog-tiles): 256 hashes of one level, and the hash of the whole, which stands in the level above.
CREATE TABLE IF NOT EXISTS ledger.tile (
    level  smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    index  bigint   NOT NULL CHECK (index >= 0),
    hashes bytea    NOT NULL CHECK (length(hashes) = 8192),
    root   bytea    NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (level, index)
);

-- What was signed: one state for each size.
CREATE TABLE IF NOT EXISTS ledger.checkpoint (
    size bigint PRIMARY KEY CHECK (size > 0),
    note text NOT NULL
);

-- What witnesses said of it: a signature line each.
CREATE TABLE IF NOT EXISTS ledger.cosignature (
    size bigint NOT NULL REFERENCES ledger.checkpoint (size),
    line text   NOT NULL,
    PRIMARY KEY (size, line)
);

CREATE OR REPLACE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is never changed: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['leaf', 'tile', 'checkpoint', 'cosignature'] LOOP
        EXECUTE format('ALTER TABLE ledger.%I OWNER TO ledger', name);
        EXECUTE format('REVOKE ALL ON ledger.%I FROM PUBLIC, "data-exchange"', name);
        EXECUTE format('GRANT SELECT, INSERT ON ledger.%I TO "data-exchange"', name);
        EXECUTE format('CREATE OR REPLACE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()', name);
        -- Also for whoever replicates or restores as such.
        EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER never_changed', name);
    END LOOP;
    ALTER FUNCTION ledger.refuse_change() OWNER TO ledger;
END $$;
