"""What stored rows change: a platform that holds few beside one that holds many, measured in turn.

In turn, since machines drift within minutes by more than rows cost, and filling lasts for half an hour: two figures
from before and after it would tell the machine's two moments apart rather than the two sizes.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from uuid import UUID

from rich.console import Console

from yijian_bench.measure import Measurement
from yijian_bench.plan import Plan
from yijian_bench.platform import Bench
from yijian_bench.reading import Reading, measure_reading
from yijian_bench.runs import load_steadily, saturate, warm_up
from yijian_bench.stored import Template, fill, read_template, readable

READERS = 50


@dataclass
class Filled:
    """A platform with so many applications of the past; one citizen can read those of `readable`."""

    bench: Bench
    stored: int = 0
    readable: list[UUID] = field(default_factory=list)
    _template: Template | None = None

    async def grow(self, wanted: int, plan: Plan, console: Console) -> None:
        """Add what is missing while services stand still, then start and warm them.

        The template is read once: what comes later fits what is there.
        """
        if wanted == self.stored:
            return
        with console.status(f"Storing {wanted:,} applications"):
            await asyncio.to_thread(self.bench.stop_services)
            self._template = self._template or await read_template(self.bench)
            await fill(self.bench, self._template, have=self.stored, wanted=wanted)
            self.readable += readable(self._template.past, have=self.stored, wanted=wanted)
            self.stored = wanted
            await asyncio.to_thread(self.bench.start_services, {})
        await warm_up(self.bench, plan, plan.turn_warm_up, console)


async def measure_reading_at(filled: Filled, plan: Plan, console: Console) -> list[Reading]:
    with console.status(f"Reading, {filled.stored:,} stored"):
        return await measure_reading(
            filled.bench,
            stored=filled.stored,
            seconds=plan.reading_seconds,
            families=READERS,
            many=filled.readable,
        )


async def compare(few: Filled, many: Filled, plan: Plan, console: Console) -> AsyncIterator[Measurement | Reading]:
    """Let `many` grow to each later size and measure it against `few`, in turn: few, many, many, few, and so on.

    The services of `few` run when this begins; those of one platform stand still while the other is measured.
    """
    awake = few
    for size in plan.stored[1:]:
        if awake is few:
            await asyncio.to_thread(few.bench.stop_services)
        if not many.stored:
            with console.status("Starting the platform beside it"):
                await asyncio.to_thread(many.bench.up)
            await warm_up(many.bench, plan, plan.warm_up, console)
        await many.grow(size, plan, console)
        awake = many
        for reading in await measure_reading_at(many, plan, console):
            yield reading
        for turn in turns(few, many, plan.pairs):
            if turn is not awake:
                await asyncio.to_thread(awake.bench.stop_services)
                await asyncio.to_thread(turn.bench.start_services, {})
                awake = turn
            beside = few.stored if turn is many else many.stored
            await warm_up(turn.bench, plan, plan.turn_warm_up, console)
            for load in (saturate, load_steadily):
                yield replace(await load(turn.bench, plan, console, stored=turn.stored), beside=beside)


def turns(few: Filled, many: Filled, pairs: int) -> list[Filled]:
    """Pairs whose order changes, so that a steady drift of the machine falls on both alike."""
    return [each for pair in range(pairs) for each in ((few, many), (many, few))[pair % 2]]
