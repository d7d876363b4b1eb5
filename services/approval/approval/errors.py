"""What approval refuses, as nouns."""

from uuid import UUID

from yijian_common.errors import Conflict, FieldError, Forbidden, NotFound, Unprocessable

from approval.form import FormError


class ApplicationNotFound(NotFound):
    name = "application-not-found"
    title = "没有找到这份申请"
    advice = "申请编号不存在，或者不是您的申请。请在“我的申请”中查看。"


class LifeEventNotFound(NotFound):
    name = "life-event-not-found"
    title = "没有这个“一件事”"
    advice = "请从“一件事”列表中选择。"


class FormRefused(Unprocessable):
    name = "form-refused"
    title = "申请表有需要修改的地方"
    advice = "请按 errors 中的提示逐项修改：pointer 指出位置，message 说明原因，rule 是规则编号。"

    @classmethod
    def because(cls, errors: list[FormError]) -> "FormRefused":
        return cls(
            f"申请表有 {len(errors)} 处需要修改",
            errors=[FieldError(error.message, pointer=error.pointer) for error in errors],
            rules=[error.rule for error in errors],
        )


class NotYourApplication(Forbidden):
    name = "applicant-is-no-party"
    title = "只有申请表中的父母本人可以申请"
    advice = "请用申请表中申请人（母亲或父亲）本人的账号登录后提交。"


class AuthorisationRefused(Unprocessable):
    name = "authorisation-refused"
    title = "授权不能使用"
    advice = "授权由父母中的另一方以短信验证码作出，10分钟内有效，只能由其授权的人用于一份申请。请由对方重新授权。"


class AuthorisationUsed(Conflict):
    name = "authorisation-used"
    title = "这份授权已经用过"
    advice = "每份授权只能使用一次。请由对方重新授权。"


class NotYourConsent(Unprocessable):
    name = "not-your-consent"
    title = "这项同意不由您作出"
    advice = "只能答复向您本人征求的同意，见 GET /v1/applications/{id}/consents 中 mine 为 true 的各项。"


class AlreadyApplied(Conflict):
    name = "already-applied"
    title = "已经有一份在办的申请"
    advice = "同一个新生儿只能有一份在办的申请。application_id 是已有申请的编号，请查看它的进度。"

    def __init__(self, application_id: UUID) -> None:
        super().__init__(application_id=str(application_id))


class CannotAccept(Conflict):
    name = "cannot-accept"
    title = "这份申请暂时不能受理"
    advice = "请核对填写的内容；如确认无误，请到办事窗口咨询。"


class NotPossibleNow(Conflict):
    name = "not-possible-now"
    title = "现在不能进行这项操作"
    advice = "申请的状态已经变化，请刷新后再试。"


class OtherFields(Unprocessable):
    name = "other-fields"
    title = "只能修改部门退回的内容"
    advice = "请只修改退回通知中列出的字段，每个字段都要给出新的值。"
