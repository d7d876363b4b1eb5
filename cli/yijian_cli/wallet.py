"""`yijian wallet`: the documents of somebody's wallet, as that person sees them."""

import httpx
from identity.wallet.schemas import DocumentOut, DocumentPage
from yijian_embedded.errors import PlatformError

from yijian_cli import wording
from yijian_cli.applications import FIRST_MOTHER, Account, IdentityUrl, Token
from yijian_cli.approval_api import TIMEOUT_S, Tokens, refusal, unreachable
from yijian_cli.output import AsJson, console, print_json, print_table
from yijian_cli.platform import this_platform


def wallet(
    *,
    account: Account = None,
    identity_url: IdentityUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the documents of a person and their children, with masked numbers."""
    person = account or FIRST_MOTHER
    found = read_wallet(person, identity_url=identity_url, token=token)
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    if not found:
        console.print("No documents yet: what departments issue comes here by itself.", style="dim")
        return
    rows = [(one.name, one.holder, one.number, one.status_name, wording.day_and_time(one.issued_at)) for one in found]
    print_table(f"{person} 的证照", ("证照", "持证人", "号码", "状态", "签发时间"), rows)


def read_wallet(account: str, *, identity_url: str | None = None, token: str | None = None) -> list[DocumentOut]:
    """Every document of the wallet, the newest first. Every refusal is a `PlatformError`."""
    base = identity_url or _here()
    tokens = Tokens(identity=base, account=account, fixed=token, audience="identity")
    found: list[DocumentOut] = []
    before: dict[str, str] = {}
    with httpx.Client(base_url=base, timeout=TIMEOUT_S, trust_env=False) as http:
        while True:
            headers = {"Authorization": f"Bearer {tokens.current()}"}
            try:
                answer = http.get("/v1/documents", params=before, headers=headers)
            except httpx.TransportError as error:
                raise unreachable("identity", base, error) from None
            if answer.status_code != httpx.codes.OK:
                raise refusal(answer)
            page = DocumentPage.model_validate_json(answer.content)
            found += page.items
            if page.next is None:
                return found
            before = {"before": str(page.next)}


def _here() -> str:
    here = this_platform()
    if not here.ports:
        raise PlatformError(f"nothing was ever started in {here.home.folder}: run `yijian up` first")
    return here.url("identity")
