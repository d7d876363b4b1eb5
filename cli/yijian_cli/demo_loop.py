"""The second half of the demo: what is left when the application is over.

Each disclosure is proven to stand in the ledger, the documents lie in the wallet, and a bad review becomes work that a
department does before everybody's eyes.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from approval.schemas import ApplicationOut
from rich.table import Table
from yijian_contracts.departments import get_department
from yijian_contracts.events import RECTIFICATION
from yijian_embedded.platform import Platform
from yijian_ledger.keys import read_public_key

from yijian_cli import pages, wording
from yijian_cli.ledger_proof import Checked, check_inclusion
from yijian_cli.ledger_web import Web
from yijian_cli.output import console
from yijian_cli.person import Person, wait_for
from yijian_cli.wallet import read_wallet

# The review that the fictitious mother gives, and what the department does about it.
RATED: Final = "B4"
OPTION: Final = "207"
COMMENT: Final = "办事指南写得看不懂，来回问了三次。"
MEASURES: Final = "重写了办事指南中的落户一节，窗口新增纸质样本。"
EVIDENCE: Final = "新版办事指南已于当日在市政务服务网公布。"


def close_the_loop(platform: Platform, application: ApplicationOut, account: str) -> None:
    """Show all of it, for the resident with this account."""
    mother = Person(platform, account)
    _show_ledger(platform, mother, application)
    _show_wallet(account)
    _show_review(platform, mother, application)


def _show_ledger(platform: Platform, mother: Person, application: ApplicationOut) -> None:
    disclosed = [task for task in application.tasks if task.received]

    def covered() -> list[dict[str, Any]]:
        found = mother.get("data-exchange", "/v1/disclosures?limit=50")["items"]
        mine = [one for one in found if one["application_id"] == str(application.id) and one["covered"]]
        return mine if len(mine) == len(disclosed) else []

    disclosures = wait_for("The ledger's checkpoint", covered)
    web = Web(platform.url("data-exchange"))
    key = read_public_key(platform.home.ledger_public_key)
    checked = check_inclusion(web, key, UUID(disclosures[0]["id"]))
    console.print(pages.heading(f"账本：以上 {len(disclosures)} 次提供都已记入，改动必被发现"))
    console.print(f"  账本 {checked.origin} · 共 {checked.size} 条 · 根 {checked.root.hex()}", highlight=False)
    _show_proof(disclosures[0], checked)


def _show_proof(disclosure: dict[str, Any], checked: Checked) -> None:
    """The way from one leaf to the signed root, each step computed here."""
    what = f"{disclosure['recipient']} · {disclosure['purpose']}"
    console.print(f"  当场验证第 {checked.index} 条（{what}）：从这一条算到根，每一步都在这里重新计算", highlight=False)
    for number, step in enumerate(checked.way):
        name = "本条" if number == 0 else f"第 {number} 步"
        console.print(f"    {name:<6}{step.hex()}", style="dim", highlight=False)
    console.print(
        "  [green]✓[/green] 与账本签名的根一致；`yijian ledger verify` 从头核对整本账和见证人", highlight=False
    )


def _show_wallet(account: str) -> None:
    documents = wait_for("The wallet's documents", lambda: read_wallet(account))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("  证照", "持证人", "号码", "签发部门", "状态"):
        table.add_column(column, overflow="fold")
    for one in documents:
        table.add_row(f"  {one.name}", one.holder, one.number, one.department_name, one.status_name)
    console.print(pages.heading("证照包：办好一项，到一项"))
    console.print(table)
    console.print(f"  每一项都有电子证照标识，例如 {documents[0].identifier}", style="dim", highlight=False)


def _show_review(platform: Platform, mother: Person, application: ApplicationOut) -> None:
    def invited() -> list[dict[str, Any]]:
        found = mother.get("rating", "/v1/invitations")["items"]
        return [one for one in found if one["application_id"] == str(application.id)]

    (invitation,) = wait_for("The invitation to review", invited)
    handling = next(one for one in invitation["handlings"] if one["matter"] == RATED)
    console.print(pages.heading("好差评：一事一评，差评变成工单"))
    closes = wording.day_and_time(datetime.fromisoformat(invitation["closes_at"]))
    console.print(f"  邀请评价 {len(invitation['handlings'])} 个事项，{closes} 前有效", highlight=False)
    review = {"handling": handling["id"], "level": "DISSATISFIED", "options": [OPTION], "comment": COMMENT}
    order = mother.post("rating", "/v1/reviews", review)["order"]
    console.print(f"  母亲评价“{handling['name']}”：不满意，“{COMMENT}”", highlight=False)
    _put_right(platform, handling["department"], order)
    mother.post("rating", f"/v1/orders/{order}/callback", {"satisfied": True})
    console.print("  回访：母亲对整改满意，工单办结", highlight=False)
    console.print("  [green]✓[/green] 从差评到整改公开，部门始终不知道是谁评的", highlight=False)


def _put_right(platform: Platform, department: str, order: str) -> None:
    """The head of the department finds the order on the desk and answers it."""
    name, audience = get_department(department).name, get_department(department).principal
    head = Person(platform, f"{department}-0003")

    def on_the_desk() -> dict[str, Any] | None:
        tasks = head.get(department, "/desk/tasks?limit=200", audience=audience)
        found = (one for one in tasks if one["matter"] == RECTIFICATION and one["application_id"] == order)
        return next(found, None)

    asked = wait_for("The order on the department's desk", on_the_desk)
    due = wording.day_and_time(datetime.fromisoformat(asked["due_at"]))
    console.print(f"  → 整改工单送到{name}负责人桌面，{due} 前答复（三个工作日）", highlight=False)
    before = {one["id"] for one in head.get("rating", "/v1/published-rectifications")["items"]}
    decision = {"act": "APPROVE", "measures": MEASURES, "evidence": [EVIDENCE]}
    head.post(department, f"/desk/tasks/{asked['task_id']}/decision", decision, audience=audience)

    def published() -> dict[str, Any] | None:
        entries = head.get("rating", "/v1/published-rectifications")["items"]
        return next((one for one in entries if one["measures"] == MEASURES and one["id"] not in before), None)

    shown = wait_for("The published answer", published)
    console.print(f"  → {name}整改并公开：{shown['measures']}（依据：{'；'.join(shown['evidence'])}）", highlight=False)
