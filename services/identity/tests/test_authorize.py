"""The authorization request: what is told to the client by redirect, and what a person sees."""

import pytest
from identity.testing import CALLBACK, CHALLENGE, VERIFIER, Browser, answered

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "="}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1]}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://evil.example/r"}, "request_uri_not_supported"),
        ({"resource": "nowhere"}, "invalid_target"),
        ({"resource": "approval department.health"}, "invalid_target"),
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"nonce": "n" * 2000}, "invalid_request"),
    ],
)
async def test_what_is_wrong_is_told_to_the_client(
    browser: Browser, changes: dict[str, str | None], error: str
) -> None:
    response = await browser.authorize(**changes)
    told = answered(response)
    assert response.headers["Location"].startswith(f"{CALLBACK}?")
    assert (told["error"], told["state"], told["iss"]) == (error, "the state", "http://identity.test")
    assert "code" not in told


async def test_the_login_page_works_without_scripts_and_cannot_be_framed(browser: Browser) -> None:
    page = await browser.authorize()
    policy = page.headers["Content-Security-Policy"]
    assert page.status_code == 200
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:45678" in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Cache-Control"] == "no-store"
    assert "<script" not in page.text
    assert '<html lang="zh-CN">' in page.text
    assert "<label" in page.text


async def test_what_came_in_is_shown_as_text_and_never_as_markup(browser: Browser) -> None:
    page = await browser.authorize(state='"><script>alert(1)</script>')
    assert "<script" not in page.text


async def test_after_the_login_the_client_gets_a_code(browser: Browser) -> None:
    response = await browser.log_in()
    told = answered(response)
    assert set(told) == {"code", "state", "iss"}
    assert (told["state"], told["iss"]) == ("the state", "http://identity.test")
    assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_a_registered_query_is_kept(browser: Browser) -> None:
    callback = "https://portal.test/signed-in?from=identity"
    response = await browser.log_in(client_id="portal", redirect_uri=callback)
    assert response.headers["Location"].startswith(f"{callback}&code=")


async def test_who_is_logged_in_need_not_do_it_again_unless_the_client_asks(browser: Browser) -> None:
    await browser.log_in()
    assert "code" in answered(await browser.authorize(prompt="none"))
    assert (await browser.authorize(prompt="login")).status_code == 200
    assert (await browser.authorize(max_age="0")).status_code == 200
    assert "code" in answered(await browser.authorize(max_age="3600"))


async def test_the_request_may_come_by_post(browser: Browser) -> None:
    page = await browser.http.post("/authorize", data=browser.asked)
    assert "code" in answered(await browser.send(page, account="mother-0001", password="correct horse"))


async def test_a_person_of_no_account_cannot_change_the_request_on_the_way(browser: Browser) -> None:
    """The form repeats the request; whatever it says is checked again."""
    page = await browser.authorize()
    for request in ("", "client_id=unknown", "client_id=yijian-app&redirect_uri=https://evil.example"):
        response = await browser.send(page, request=request, account="mother-0001", password="correct horse")
        assert response.status_code == 400
        assert "Location" not in response.headers
