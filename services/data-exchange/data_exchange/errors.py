"""What data-exchange refuses, as nouns."""

from yijian_common.errors import Conflict, InternalError, NotFound


class LeafNotFound(NotFound):
    name = "leaf-not-found"
    title = "账本中没有这一条"
    advice = "请核对编号；刚刚发生的数据提供要等几秒钟才会记入账本。"


class TileNotFound(NotFound):
    name = "tile-not-found"
    title = "账本还没有这么长"
    advice = "请按最新的签名状态（/checkpoint）计算需要哪些部分。"


class LedgerBroken(InternalError):  # noqa: N818 - a problem, as the others
    """The tables contradict each other; the detail says where and holds nothing about anybody."""

    name = "ledger-broken"
    title = "账本自相矛盾"
    advice = "账本的内容前后不一致，可能被改动过。请联系数据管理部门，并保留 detail 中的说明。"


class NotSignedYet(Conflict):
    name = "not-signed-yet"
    title = "账本还没有为它签名"
    advice = "记录已经写入账本，签名通常在一秒之内完成，请稍后再试。"


class ConsentNotFound(NotFound):
    name = "consent-not-found"
    title = "没有找到这项同意"
    advice = "编号不存在，或者不是您给出的同意。请在“我的同意”中查看。"


class DisclosureNotFound(NotFound):
    name = "disclosure-not-found"
    title = "没有找到这条数据提供记录"
    advice = "编号不存在，或者与您无关。请在“谁看了我的数据”中查看。"
