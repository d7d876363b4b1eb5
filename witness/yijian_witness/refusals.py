"""What a witness answers when it does not cosign (C2SP tlog-witness, add-checkpoint), as nouns with their status."""

from http import HTTPStatus
from typing import ClassVar


class RefusalError(Exception):
    """The checkpoint is not cosigned; the text says why."""

    status: ClassVar[HTTPStatus]


class MalformedError(RefusalError):
    """The request is not one, or its old size is beyond the checkpoint's."""

    status = HTTPStatus.BAD_REQUEST


class UnknownLogError(RefusalError):
    """No key is known for the checkpoint's origin."""

    status = HTTPStatus.NOT_FOUND


class NotSignedError(RefusalError):
    """The log's key did not sign it."""

    status = HTTPStatus.FORBIDDEN


class OtherSizeError(RefusalError):
    """The request goes on from another size than the last that was cosigned, which is `size`."""

    status = HTTPStatus.CONFLICT

    def __init__(self, size: int) -> None:
        super().__init__(f"the last checkpoint has size {size}")
        self.size = size


class InconsistentError(RefusalError):
    """The checkpoint does not go on from the last one. `rewritten` says that this is proven by the log's signatures."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, text: str, *, rewritten: bool = False) -> None:
        super().__init__(text)
        self.rewritten = rewritten
