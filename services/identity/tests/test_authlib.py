"""A stock client, Authlib, configured with nothing but the discovery address, against the running service."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from authlib.integrations.starlette_client import OAuth
from identity.testing import Running, hidden_fields
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from yijian_common.auth import TokenVerifier
from yijian_common.testing import InMemoryKeySetStore
from yijian_common.tokens import Kind

pytestmark = pytest.mark.postgres

CALLBACK = "http://portal.test/callback"
SECRETS = {"portal": "portal-secret-0123456789abcdef", "approval": "approval-secret-0123456789abcdef"}


class OneVisitor:
    """The session of the portal's only visitor; Authlib keeps state, nonce and verifier in it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._session: dict[str, object] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "session": self._session}, receive, send)


def portal(issuer: str) -> Starlette:
    """A web application that signs people in the way Authlib's documentation shows."""
    oauth = OAuth()
    oauth.register(
        "yijian",
        client_id="portal",
        client_secret=SECRETS["portal"],
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile", "code_challenge_method": "S256"},
    )

    async def login(request: Request) -> Response:
        response: Response = await oauth.yijian.authorize_redirect(request, CALLBACK)
        return response

    async def callback(request: Request) -> Response:
        token = await oauth.yijian.authorize_access_token(request)
        told = await oauth.yijian.userinfo(token=token)
        return JSONResponse({"id": token["userinfo"], "userinfo": told, "access_token": token["access_token"]})

    routes = [Route("/login", login), Route("/callback", callback)]
    return Starlette(routes=routes, middleware=[Middleware(OneVisitor)])


async def test_a_portal_signs_a_mother_in(running: Running) -> None:
    transport = httpx.ASGITransport(portal(running.url))
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://portal.test") as at_portal,
        httpx.AsyncClient() as at_identity,
    ):
        to_identity = await at_portal.get("/login")
        page = await at_identity.get(to_identity.headers["Location"])
        fields = {**hidden_fields(page), "account": "mother-0001", "password": "correct horse"}
        back = await at_identity.post(f"{running.url}/login", data=fields)
        assert back.headers["Location"].startswith(CALLBACK)
        signed_in = (await at_portal.get(back.headers["Location"])).json()

        assert signed_in["id"]["iss"] == running.url
        assert signed_in["id"]["aud"] == "portal"
        assert signed_in["userinfo"]["name"] == "王小明"
        assert signed_in["userinfo"]["sub"] == signed_in["id"]["sub"]

        verifier = TokenVerifier(issuer=running.url, audience="approval", http=at_identity, store=InMemoryKeySetStore())
        principal = await verifier.verify(signed_in["access_token"])
        assert (principal.subject, principal.kind) == (signed_in["id"]["sub"], Kind.CITIZEN)


def test_a_service_gets_its_token(running: Running) -> None:
    metadata = httpx.get(f"{running.url}/.well-known/openid-configuration").json()
    with OAuth2Client("approval", SECRETS["approval"]) as client:
        token = client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
        assert token["token_type"] == "Bearer"
        wrong = OAuth2Client("approval", "wrong", token_endpoint_auth_method="client_secret_post")
        with pytest.raises(Exception, match="invalid_client"):
            wrong.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")


def test_a_native_app_without_a_secret_signs_in_goes_on_and_signs_out(running: Running) -> None:
    callback = "http://127.0.0.1:39871/callback"
    client = OAuth2Client(
        "yijian-app",
        redirect_uri=callback,
        scope="openid offline_access",
        code_challenge_method="S256",
        token_endpoint_auth_method="none",
        revocation_endpoint_auth_method="none",
    )
    verifier = "v" * 64
    url, state = client.create_authorization_url(f"{running.url}/authorize", code_verifier=verifier, nonce="n")
    with httpx.Client() as browser:
        page = browser.get(url)
        fields = {**hidden_fields(page), "account": "mother-0001", "password": "correct horse"}
        back = browser.post(f"{running.url}/login", data=fields).headers["Location"]
    assert parse_qs(urlsplit(back).query)["state"] == [state]
    token = client.fetch_token(f"{running.url}/token", authorization_response=back, code_verifier=verifier)
    assert {"access_token", "id_token", "refresh_token"} <= set(token)
    metadata = httpx.get(f"{running.url}/.well-known/openid-configuration").json()
    refreshed = client.refresh_token(metadata["token_endpoint"])
    assert refreshed["refresh_token"] != token["refresh_token"]
    with OAuth2Client("approval", SECRETS["approval"]) as service:
        told = service.introspect_token(metadata["introspection_endpoint"], token=refreshed["access_token"]).json()
        assert (told["active"], told["client_id"]) == (True, "yijian-app")
        gone = client.revoke_token(metadata["revocation_endpoint"], token=refreshed["refresh_token"])
        assert gone.status_code == 200
        told = service.introspect_token(metadata["introspection_endpoint"], token=refreshed["access_token"]).json()
        assert told == {"active": False}
    with pytest.raises(Exception, match="invalid_grant"):
        client.refresh_token(metadata["token_endpoint"], refresh_token=refreshed["refresh_token"])
    client.close()


def test_personal_data_is_in_no_log_line(running: Running) -> None:
    httpx.post(f"{running.url}/dev/token", json={"account": "mother-0001"})
    httpx.get(f"{running.url}/authorize", params={"client_id": "990101199202290029", "state": "王小明"})
    running.process.terminate()
    running.process.wait(timeout=20)
    log = running.log.read_text()
    assert '"route": "/dev/token"' in log
    for personal in ("990101199202290029", "王小明", "13812345678", "correct horse"):
        assert personal not in log
