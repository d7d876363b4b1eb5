"""One database and one role per service in a Postgres server, each call free to repeat."""

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from yijian_ledger import provisioning as ledger

Connection = psycopg.Connection[tuple[object, ...]]


def connect(url: str) -> Connection:
    """An administrator's session in which every statement stands for itself, as CREATE DATABASE demands."""
    return psycopg.connect(url, autocommit=True)


def ensure_role(admin: Connection, name: str, password: str) -> None:
    """A role that may log in and nothing more. Only the password's verifier reaches the server, and its logs."""
    role = sql.Identifier(name)
    if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    verifier = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode("ascii")
    attributes = sql.SQL("LOGIN NOCREATEDB NOCREATEROLE PASSWORD {}").format(sql.Literal(verifier))
    admin.execute(sql.SQL("ALTER ROLE {} {}").format(role, attributes))


def has_database(admin: Connection, name: str) -> bool:
    """Whether the server has a database of this name."""
    return admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def ensure_database(admin: Connection, name: str, *, owner: str) -> None:
    """A database that only its owner, and the administrator, may enter."""
    database, role = sql.Identifier(name), sql.Identifier(owner)
    if not has_database(admin, name):
        # An administrator who is not a superuser has to be a member to hand the database over.
        admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'").format(database, role))
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))


def ensure_ledger(admin_url: str, database: str) -> None:
    """The ledger's tables in data-exchange's database: nobody's who writes to them."""
    with connect(make_conninfo(admin_url, dbname=database)) as session:
        session.execute(ledger.SCHEMA)


def close_to_public(admin_url: str) -> None:
    """Take from everybody what a new cluster gives to all: entering the databases that every cluster has."""
    with connect(admin_url) as admin:
        admin.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")


def drop_database(admin: Connection, name: str) -> None:
    """Drop a database, ending the sessions in it."""
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def database_url(admin_url: str, *, role: str, password: str, database: str) -> str:
    """The address of a database on the administrator's server for another role."""
    parts = conninfo_to_dict(make_conninfo(admin_url))
    host, port = parts.pop("host", "127.0.0.1"), parts.pop("port", 5432)
    for name in ("user", "password", "dbname"):
        parts.pop(name, None)
    options = "&".join(f"{name}={value}" for name, value in parts.items())
    return f"postgresql://{role}:{password}@{host}:{port}/{database}{'?' if options else ''}{options}"
