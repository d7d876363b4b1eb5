"""``python -m yijian_examples write FOLDER --families N`` writes the records; ``form N`` prints one application."""

import argparse
import json
import sys
from datetime import date
from pathlib import Path

from yijian_examples.family import Kind
from yijian_examples.forms import form_of
from yijian_examples.population import MAX_FAMILIES, family
from yijian_examples.records import write_records


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m yijian_examples", description="Fictitious families of region 99")
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write", help="write what each bureau holds, as JSON Lines")
    write.add_argument("folder", type=Path)
    write.add_argument("--families", type=_families, default=100)
    form = commands.add_parser("form", help="print the application of one family as JSON")
    form.add_argument("n", type=_families)
    form.add_argument("--kind", choices=list(Kind), default=None)
    for command in (write, form):
        command.add_argument("--today", type=date.fromisoformat, default=None, help="YYYY-MM-DD, today by default")
    given = parser.parse_args(arguments)
    if given.command == "write":
        written = write_records(given.folder, given.families, today=given.today)
        sys.stdout.write(f"{written.families} families as of {written.today} in {given.folder}\n")
    else:
        chosen = family(given.n, kind=given.kind, today=given.today)
        sys.stdout.write(json.dumps(form_of(chosen), ensure_ascii=False, indent=2) + "\n")
    return 0


def _families(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MAX_FAMILIES:
        raise argparse.ArgumentTypeError(f"between 1 and {MAX_FAMILIES}")
    return number


if __name__ == "__main__":
    sys.exit(main())
