"""What the environment may say, and how it is told when it says it wrong."""

import pytest
from yijian_common.settings import Environment, ProcessSettings, Role, ServiceSettings, load_settings

GOOD = {
    "YIJIAN_SERVICE": "approval",
    "YIJIAN_HTTP_PORT": "8002",
    "YIJIAN_DATABASE_URL": "postgresql://approval:geheim@127.0.0.1/approval",
    "YIJIAN_KEY_FILE": "/keys/approval.json",
    "YIJIAN_KAFKA_BOOTSTRAP": "127.0.0.1:9092",
    "YIJIAN_KAFKA_PASSWORD": "geheim",
    "YIJIAN_IDENTITY_ISSUER": "http://127.0.0.1:8001/",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_what_is_not_said_has_the_safe_value(environment: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - sets it up
    settings = load_settings(ServiceSettings)
    assert settings.environment is Environment.PRODUCTION
    assert settings.http_host == "127.0.0.1"
    assert settings.audience == settings.kafka_username == "approval"
    assert settings.roles == set(Role)
    assert settings.identity_issuer == "http://127.0.0.1:8001"
    assert "geheim" not in repr(settings)


def test_roles_are_a_comma_list(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("YIJIAN_ROLES", "worker, relay")
    settings = load_settings(ServiceSettings)
    assert settings.plays(Role.WORKER)
    assert not settings.plays(Role.API)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("YIJIAN_SERVICE", "Approval Service"),
        ("YIJIAN_HTTP_PORT", "geheim"),
        ("YIJIAN_HTTP_PORT", "70000"),
        ("YIJIAN_ENVIRONMENT", "staging"),
        ("YIJIAN_ROLES", "api,king"),
        ("YIJIAN_ROLES", ","),
        ("YIJIAN_BODY_LIMIT_BYTES", "0"),
        ("YIJIAN_TRACE_SAMPLE_RATIO", "2"),
        ("YIJIAN_IDENTITY_ISSUER", "127.0.0.1:8001"),
        ("YIJIAN_KAFKA_SECURITY_PROTOCOL", "PLAINTEXT"),
        ("YIJIAN_KAFKA_CA_FILE", "/ca.pem"),
        ("YIJIAN_DATABASE_URL", ""),
        ("YIJIAN_KAFKA_PASSWORD", None),
        ("YIJIAN_KEY_FILE", None),
        ("YIJIAN_FAULTPOINT", "relay-after-send"),
    ],
)
def test_an_odd_value_is_named_and_not_repeated(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str | None
) -> None:
    if value is None:
        environment.delenv(name)
    else:
        environment.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        load_settings(ServiceSettings)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert name in said
    assert "geheim" not in said


def test_a_program_without_a_database_needs_neither_it_nor_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YIJIAN_SERVICE", "department.health")
    monkeypatch.setenv("YIJIAN_HTTP_PORT", "8010")
    assert load_settings(ProcessSettings).audience == "department.health"
