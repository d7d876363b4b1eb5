"""What rating refuses, as nouns."""

from yijian_common.errors import Conflict, Forbidden, NotFound


class InvitationNotFound(NotFound):
    name = "invitation-not-found"
    title = "没有找到这份评价邀请"
    advice = "评价邀请不存在，或者不是您的。请在“我的评价”中查看。"


class HandlingNotFound(NotFound):
    name = "handling-not-found"
    title = "没有找到可以评价的办理事项"
    advice = "请从您的评价邀请中选择要评价的事项。"


class OrderNotFound(NotFound):
    name = "order-not-found"
    title = "没有找到这张整改工单"
    advice = "工单不存在，或者不在您的职责范围内。"


class AlreadyReviewed(Conflict):
    name = "already-reviewed"
    title = "这个事项已经评价过了"
    advice = "每个事项评价一次；整改结果公布后，可以在回访期内再评价一次。"


class ReviewClosed(Conflict):
    name = "review-closed"
    title = "评价时间已过"
    advice = "办结后五个工作日内可以评价。"


class OrderNotThere(Conflict):
    name = "order-not-there"
    title = "工单的状态已经变化"
    advice = "请刷新后再试。"


class NotForYourPost(Forbidden):
    name = "not-for-your-post"
    title = "您的岗位不能进行这项操作"
    advice = "部门负责人可以查看本部门的工单和指标；核实、督办由督查岗位办理。"
