"""Refusals of the wallet."""

from yijian_common.errors import Conflict, Forbidden, NotFound


class DocumentNotFound(NotFound):
    name = "document-not-found"
    title = "没有找到这份证照"
    advice = "证照不存在，或者不属于当前登录人及其未成年子女。"


class NotInForce(Conflict):
    name = "document-not-in-force"
    title = "这份证照现在不能这样办理"
    advice = "证照已经过期、挂失、撤销或注销。请先查看证照的状态。"


class NotYours(Forbidden):
    name = "document-of-another-office"
    title = "这份证照不由您的岗位管理"
    advice = "撤销证照只能由签发部门有相应事项权限的负责人办理。"


class PresentationEnded(NotFound):
    name = "presentation-ended"
    title = "这个出示链接不存在或者已经失效"
    advice = "出示链接 5 分钟内有效，打开次数有限。请持证人重新出示。"
