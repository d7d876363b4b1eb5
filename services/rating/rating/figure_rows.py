"""Facts and the daily rows made of them: written together, in one transaction, so that they are never apart.

Invariant: `figure` is what `fold` makes of `fact`. `compare` says where it is not; `rebuild` makes it so again.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from yijian_common.database import Connection

from rating.figures import Counts, Fact, FactKind, fold
from rating.questionnaire import Level


@dataclass(frozen=True, slots=True)
class Difference:
    """A day on which the stored row is not what the facts say; None where there is no row, or no fact."""

    department: str
    day: date
    stored: Mapping[str, int] | None
    folded: Mapping[str, int] | None


async def record(connection: Connection, facts: Sequence[Fact]) -> None:
    """Store facts that are new and count them. Call it last: the rows of a day are everybody's."""
    if not facts:
        return
    stored = await connection.fetch(
        """
        INSERT INTO fact (cause, kind, department, day, level, times)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::date[], $5::text[], $6::int[])
        ON CONFLICT (cause, kind) DO NOTHING RETURNING cause, kind
        """,
        [fact.cause for fact in facts],
        [fact.kind for fact in facts],
        [fact.department for fact in facts],
        [fact.day for fact in facts],
        [fact.level or "" for fact in facts],
        [fact.times for fact in facts],
    )
    new = {(row["cause"], row["kind"]) for row in stored}
    await _add(connection, fold(fact for fact in facts if (fact.cause, fact.kind.value) in new))


async def _add(connection: Connection, added: Mapping[tuple[str, date], Counts]) -> None:
    places = sorted(added)
    # Every writer locks the days in this order, so that none waits for another in a circle.
    await connection.execute(
        """
        INSERT INTO figure (department, day, counts) SELECT department, day, '{}'
        FROM unnest($1::text[], $2::date[]) AS f(department, day) ORDER BY department, day
        ON CONFLICT (department, day) DO NOTHING
        """,
        [department for department, _ in places],
        [day for _, day in places],
    )
    held = await connection.fetch(
        """
        SELECT f.department, f.day, f.counts
        FROM unnest($1::text[], $2::date[]) AS p(department, day)
        JOIN figure f ON f.department = p.department AND f.day = p.day
        ORDER BY f.department, f.day FOR UPDATE OF f
        """,
        [department for department, _ in places],
        [day for _, day in places],
    )
    known = {(row["department"], row["day"]): load(row["counts"]) for row in held}
    for place in places:
        known[place].merge(added[place])
    await _write(connection, known)


async def _write(connection: Connection, rows: Mapping[tuple[str, date], Counts]) -> None:
    await connection.execute(
        """
        UPDATE figure f SET counts = n.counts
        FROM unnest($1::text[], $2::date[], $3::text[]) AS n(department, day, counts)
        WHERE f.department = n.department AND f.day = n.day
        """,
        [department for department, _ in rows],
        [day for _, day in rows],
        [dump(counts) for counts in rows.values()],
    )


def dump(counts: Counts) -> str:
    """Counts as they are stored: what is not zero, by name."""
    return json.dumps(told(counts), sort_keys=True)


def told(counts: Counts) -> dict[str, int]:
    named = [*counts.facts.items(), *counts.levels.items()]
    return {str(name): count for name, count in named if count}


def load(stored: str) -> Counts:
    counts = Counts()
    for name, count in json.loads(stored).items():
        if name in FactKind.__members__:
            counts.facts[FactKind(name)] = count
        else:
            counts.levels[Level(name)] = count
    return counts


async def read(connection: Connection, *, department: str, first: date, last: date) -> dict[date, Counts]:
    """The stored rows of a department, by day."""
    rows = await connection.fetch(
        "SELECT day, counts FROM figure WHERE department = $1 AND day BETWEEN $2 AND $3 ORDER BY day",
        department,
        first,
        last,
    )
    return {row["day"]: load(row["counts"]) for row in rows}


async def recompute(connection: Connection, *, first: date, last: date) -> dict[tuple[str, date], Counts]:
    """What the facts of these days say, whatever is stored."""
    rows = await connection.fetch(
        """
        SELECT department, day, kind, level, sum(times)::int AS times FROM fact
        WHERE day BETWEEN $1 AND $2 GROUP BY department, day, kind, level
        """,
        first,
        last,
    )
    counts: dict[tuple[str, date], Counts] = defaultdict(Counts)
    for row in rows:
        level = Level(row["level"]) if row["level"] else None
        counts[row["department"], row["day"]].add(FactKind(row["kind"]), level, row["times"])
    return dict(counts)


async def compare(connection: Connection, *, first: date, last: date) -> list[Difference]:
    """Every day on which a stored row differs from what its facts say.

    Ask in one snapshot (`repeatable_read`): a fact and its count are committed together.
    """
    rows = await connection.fetch("SELECT department, day, counts FROM figure WHERE day BETWEEN $1 AND $2", first, last)
    stored = {(row["department"], row["day"]): json.loads(row["counts"]) for row in rows}
    folded = {place: told(counts) for place, counts in (await recompute(connection, first=first, last=last)).items()}
    return [
        Difference(place[0], place[1], stored.get(place), folded.get(place))
        for place in sorted(stored.keys() | folded.keys(), key=lambda place: (place[1], place[0]))
        if stored.get(place) != folded.get(place)
    ]


async def rebuild(connection: Connection, *, first: date, last: date) -> list[Difference]:
    """Make the stored rows what the facts say; returns what was different. Whoever counts meanwhile waits."""
    await connection.execute("LOCK TABLE figure IN SHARE ROW EXCLUSIVE MODE")
    differences = await compare(connection, first=first, last=last)
    right = await recompute(connection, first=first, last=last)
    await connection.execute(
        """
        DELETE FROM figure f USING unnest($1::text[], $2::date[]) AS d(department, day)
        WHERE f.department = d.department AND f.day = d.day
        """,
        [difference.department for difference in differences],
        [difference.day for difference in differences],
    )
    wrong = [(d.department, d.day) for d in differences if d.folded is not None]
    await connection.execute(
        "INSERT INTO figure (department, day, counts) SELECT * FROM unnest($1::text[], $2::date[], $3::text[])",
        [department for department, _ in wrong],
        [day for _, day in wrong],
        [dump(right[place]) for place in wrong],
    )
    return differences
