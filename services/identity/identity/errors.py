"""Refusals in the words of OAuth 2.0 (RFC 6749 §5.2, §4.1.2.1) and OpenID Connect."""


class OAuthError(Exception):
    """Answered as JSON by the token and userinfo endpoints."""

    def __init__(self, code: str, description: str, *, status: int = 400, challenge: str | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.status = status
        self.challenge = challenge


class InvalidClientError(OAuthError):
    """The client is not who it says (RFC 6749 §5.2: 401, with the scheme it may try)."""

    def __init__(self) -> None:
        super().__init__(
            "invalid_client", "client authentication failed", status=401, challenge='Basic realm="yijian identity"'
        )


class InvalidGrantError(OAuthError):
    """The code or refresh token is unknown, used, expired, revoked, or another's; which of these is not told."""

    def __init__(self) -> None:
        super().__init__("invalid_grant", "the authorization code or refresh token is not valid")


class UnsafeRequestError(Exception):
    """An authorization request whose client or redirect address cannot be trusted: an error page, never a redirect."""


class AuthorizationRefusedError(Exception):
    """Told to the client by redirect, with `error`, `state` and `iss`."""

    def __init__(self, code: str, description: str, *, redirect_uri: str, state: str | None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.redirect_uri = redirect_uri
        self.state = state


class LoginFailedError(Exception):
    """The account, the password, or the number of tries; which of these is not told."""


class PasswordRefusedError(Exception):
    """The password stays as it is; the text tells the person why."""


class AccountsFileError(Exception):
    """The accounts file holds something that is not loaded; the text names the line and what to do."""
