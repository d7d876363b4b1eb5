"""`yijian ledger`: how the ledger stands, and whether it is what it was. Looking needs no right but the public keys."""

import asyncio
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from yijian_embedded.errors import PlatformError
from yijian_embedded.home import write_private
from yijian_ledger.audit import Audit, Witnessing, audit
from yijian_ledger.evidence import EvidenceError, Proven, parse_pack, verify_pack
from yijian_ledger.keys import KeyKind, PublicKey, SigningKeyError, new_key, read_public_key

from yijian_cli.ledger_memory import load_memory, save_memory
from yijian_cli.ledger_proof import check_inclusion
from yijian_cli.ledger_tables import check_tables
from yijian_cli.ledger_web import Web
from yijian_cli.output import AsJson, console, print_json
from yijian_cli.platform import this_platform

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The ledger of what was disclosed: how it stands, and whether it is what it was.",
)

Url = Annotated[str, typer.Option("--url", envvar="YIJIAN_LEDGER_URL", help="The ledger; this machine's if not given.")]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key", envvar="YIJIAN_LEDGER_PUBLIC_KEY_FILE", help="Its public key; this machine's if not given."),
]
WitnessUrl = Annotated[
    str, typer.Option("--witness-url", envvar="YIJIAN_WITNESS_URL", help="The witness; this machine's if not given.")
]
WitnessKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--witness-key",
        envvar="YIJIAN_WITNESS_PUBLIC_KEY_FILE",
        help="The witness's public key; this machine's if not given.",
    ),
]
WithoutWitness = Annotated[
    bool, typer.Option("--without-witness", help="Ask no witness: then a ledger rewritten by its own key is not found.")
]


@app.command()
def status(*, url: Url = "", as_json: AsJson = False) -> None:
    """What is written down, signed and witnessed, and what waits."""
    told = _ledger(url).json("/v1/ledger")
    if as_json:
        print_json(told)
        return
    signed, witnessed = told["signed"] or {"size": 0}, told["witnessed"] or {"size": 0}
    console.print(f"{told['origin'] or 'nothing signed yet'}", highlight=False)
    console.print(f"  written down  {told['leaves']} leaves", highlight=False)
    console.print(f"  signed        {signed['size']}  root {signed.get('root', '-')}", highlight=False)
    console.print(f"  witnessed     {witnessed['size']}", highlight=False)
    if told["problem"]:
        console.print(f"  [red]{told['problem']}[/red]", highlight=False)


@app.command()
def verify(
    *,
    url: Url = "",
    key: KeyFile = None,
    witness_url: WitnessUrl = "",
    witness_key: WitnessKeyFile = None,
    without_witness: WithoutWitness = False,
    state: Annotated[
        Path | None, typer.Option("--state", help="What was seen last time; in the platform's folder if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch everything and believe nothing but the public keys. Exit 1 with a sentence for whatever is not in order."""
    log = _public_key(key, this_platform().home.ledger_public_key)
    witness = None
    if not without_witness:
        by = _public_key(witness_key, this_platform().home.witness_public_key)
        witness = Witnessing(Web(witness_url or this_platform().url("witness")), by)
    place = state or this_platform().home.folder / "ledger-seen"
    result = audit(_ledger(url), log, witness=witness, memory=load_memory(place))
    if result.memory is not None:
        save_memory(place, result.memory)
    if as_json:
        print_json(_audit_as_json(result))
    else:
        _tell(result, asked_witness=witness is not None)
    if not result.in_order:
        raise typer.Exit(1)


@app.command()
def proof(
    leaf_id: Annotated[UUID, typer.Argument(metavar="ID", help="A disclosure, or an erasure.")],
    *,
    url: Url = "",
    key: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Prove before your eyes that one leaf is in the signed tree: each hash on the way from the leaf to the root."""
    checked = check_inclusion(_ledger(url), _public_key(key, this_platform().home.ledger_public_key), leaf_id)
    if as_json:
        print_json(checked.as_json())
        return
    console.print(f"leaf {checked.index} of {checked.size}: {checked.leaf}", highlight=False, soft_wrap=True)
    for number, step in enumerate(checked.way):
        console.print(f"  {number:>2}  {step.hex()}", highlight=False)
    console.print(f"root  {checked.root.hex()}, signed by {checked.origin}", highlight=False)


@app.command()
def evidence(
    file: Annotated[Path, typer.Argument(help="What somebody was given as evidence, JSON.")],
    *,
    key: KeyFile = None,
    witness_key: WitnessKeyFile = None,
    without_witness: WithoutWitness = False,
    as_json: AsJson = False,
) -> None:
    """Check evidence with nothing but the public keys; no network. Exit 1 when it does not prove what it says."""
    log = _public_key(key, this_platform().home.ledger_public_key)
    witness = None if without_witness else _public_key(witness_key, this_platform().home.witness_public_key)
    try:
        proven = verify_pack(parse_pack(file.read_bytes()), log=log, witness=witness)
    except OSError as error:
        raise PlatformError(f"{file} cannot be read: {error.strerror}.") from None
    except EvidenceError as error:
        raise PlatformError(f"{file} does not hold: {error}.") from None
    if as_json:
        print_json(_proven_as_json(proven))
        return
    at = f", seen by the witness at {proven.cosigned_at.isoformat()}" if proven.cosigned_at else ""
    console.print(f"{len(proven.items)} leaves in {proven.checkpoint.origin}{at}:", highlight=False)
    for content, item in proven.items:
        what = item.opening.details if item.opening else None
        said = f"{what.get('purpose', '')} {what.get('disclosed_at', '')}" if what else "(erased)"
        # What somebody wrote is text, whatever brackets are in it.
        line = f"  leaf {item.index}  {content.kind} {content.id}  {said}"
        console.print(line, highlight=False, markup=False)


@app.command()
def fsck(
    *,
    database_url: Annotated[
        str, typer.Option(envvar="YIJIAN_DATABASE_URL", help="data-exchange's; this machine's if not given.")
    ] = "",
    key_file: Annotated[
        Path | None,
        typer.Option(envvar="YIJIAN_KEY_FILE", help="Opens the details, to hold them against their leaves."),
    ] = None,
    key: KeyFile = None,
    witness_key: WitnessKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Hold every table of the ledger against every other, for who runs it. Exit 1 when they disagree."""
    home = this_platform().home
    if not database_url:
        database_url = this_platform().database_url("data-exchange")
        key_file = key_file or home.key_file("data-exchange")
    log = _public_key(key, home.ledger_public_key)
    witness = _public_key(witness_key, home.witness_public_key)
    found = asyncio.run(check_tables(database_url, key_file=key_file, log=log, witness=witness))
    if as_json:
        print_json({"in_order": not found, "findings": found})
    else:
        for sentence in found:
            console.print(sentence, highlight=False, markup=False, soft_wrap=True)
        console.print("The tables agree." if not found else f"{len(found)} things are not in order.", highlight=False)
    if found:
        raise typer.Exit(1)


@app.command("key")
def make_key(
    file: Annotated[Path, typer.Argument(help="Where the private key goes; the public one stands beside it as .pub.")],
    *,
    name: Annotated[str, typer.Option(help="Whose key it is, for ever: a ledger's name, such as city.example/ledger.")],
    kind: Annotated[KeyKind, typer.Option(help="What it signs, and how.")] = KeyKind.ED25519,
) -> None:
    """Make a key pair for a ledger (ed25519, sm2) or a witness (cosignature-ed25519)."""
    public = file.with_suffix(".pub")
    if file.exists() or public.exists():
        raise PlatformError(f"{file} or {public} is there already; a key is never written over.")
    try:
        made = new_key(name, kind)
    except SigningKeyError as error:
        raise PlatformError(f"{error}.") from None
    write_private(file, made.as_text())
    write_private(public, made.public.vkey + "\n")
    public.chmod(0o644)
    console.print(made.public.vkey, highlight=False, soft_wrap=True)


def _ledger(url: str) -> Web:
    return Web(url or this_platform().url("data-exchange"))


def _public_key(told: Path | None, ours: Path) -> PublicKey:
    try:
        return read_public_key(told or ours)
    except SigningKeyError as error:
        raise PlatformError(f"{error}.") from None


def _tell(result: Audit, *, asked_witness: bool) -> None:
    for finding in result.findings:
        console.print(f"NOT IN ORDER: {finding.text}", style="red", highlight=False, markup=False, soft_wrap=True)
    if result.checkpoint is None or not result.in_order:
        return
    size = result.checkpoint.size
    console.print(f"{size} leaves of {result.checkpoint.origin} are what they were.", highlight=False)
    console.print(f"  root {result.checkpoint.root.hex()}", highlight=False)
    if result.witnessed is not None:
        console.print(f"  the witness saw the first {result.witnessed.size} of them", highlight=False)
    elif not asked_witness:
        console.print("  no witness was asked: whoever has the ledger's key could have rewritten it", highlight=False)


def _audit_as_json(result: Audit) -> dict[str, object]:
    checkpoint, witnessed = result.checkpoint, result.witnessed
    return {
        "in_order": result.in_order,
        "size": checkpoint.size if checkpoint else None,
        "root": checkpoint.root.hex() if checkpoint else None,
        "witnessed": witnessed.size if witnessed else None,
        "checkpoints": result.signed_in_between,
        "findings": [{"text": finding.text, "leaf": finding.leaf} for finding in result.findings],
    }


def _proven_as_json(proven: Proven) -> dict[str, object]:
    return {
        "origin": proven.checkpoint.origin,
        "size": proven.checkpoint.size,
        "cosigned_at": proven.cosigned_at.isoformat() if proven.cosigned_at else None,
        "items": [
            {
                "index": item.index,
                "id": str(content.id),
                "kind": content.kind.value,
                "details": dict(item.opening.details) if item.opening else None,
                "portions": [portion.content.value for portion in item.opening.portions] if item.opening else [],
            }
            for content, item in proven.items
        ],
    }
