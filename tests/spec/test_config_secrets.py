"""What an operator may rely on for secrets and security: docs/operations.md, Set up."""

from pathlib import Path

import pytest

from tests.commands import Sessionizer
from tests.configurations import File, faults
from worker.config import load

# --- secrets -----------------------------------------------------------------------------------------------

SASL = {
    "SESSIONIZER_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "SESSIONIZER_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "SESSIONIZER_KAFKA_SASL_USERNAME": "worker",
}


def test_a_secret_may_be_read_from_a_file_without_its_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n", encoding="utf-8")
    config = load(None, SASL | {"SESSIONIZER_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "password")})
    assert config.kafka.sasl_password.reveal() == "hunter2"
    assert config.sources["kafka.sasl_password"] == "SESSIONIZER_KAFKA_SASL_PASSWORD_FILE"


def test_a_secret_given_twice_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2", encoding="utf-8")
    lines = faults(KAFKA_SASL_PASSWORD="hunter2", KAFKA_SASL_PASSWORD_FILE=str(tmp_path / "password"))
    assert lines[0] == (
        "SESSIONIZER_KAFKA_SASL_PASSWORD_FILE: SESSIONIZER_KAFKA_SASL_PASSWORD is set too: keep one of them"
    )


def test_a_secret_whose_file_cannot_be_read_is_one_fault() -> None:
    variables = {name.removeprefix("SESSIONIZER_"): value for name, value in SASL.items()}
    lines = faults(**variables, KAFKA_SASL_PASSWORD_FILE="not/there")
    assert lines == [
        'SESSIONIZER_KAFKA_SASL_PASSWORD_FILE = "not/there": cannot be read: No such file or directory'
    ]


def test_no_fault_shows_a_secret_or_what_may_be_a_misspelt_one(file: File) -> None:
    path = file.with_text(
        '[kafka]\nsasl_password = "hunter2"\nssl_password = ["hunter2"]\nsasl_passwort = "hunter2"\n'
        'hunter1 = 1\n[other]\nsasl_password = "hunter2"\n'
    )
    lines = faults(path, KAFKA_SASL_PASWORD="hunter2", KAFKA_SSL_PASSWORD="hunter2")
    assert len(lines) >= 5
    assert "hunter2" not in "\n".join(lines)
    assert any("kafka.ssl_password = ***: expected text" in line for line in lines)


def test_a_configuration_shown_by_mistake_shows_no_secret() -> None:
    config = load(None, SASL | {"SESSIONIZER_KAFKA_SASL_PASSWORD": "hunter2"})
    assert "hunter2" not in repr(config) + str(config) + f"{config.kafka.sasl_password}"
    assert "***" in repr(config)


# --- security ----------------------------------------------------------------------------------------------


def test_sasl_needs_mechanism_user_and_password() -> None:
    assert faults(KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT") == [
        f'default: kafka.{name} = "": is needed with kafka.security_protocol = "SASL_PLAINTEXT" '
        "(SESSIONIZER_KAFKA_SECURITY_PROTOCOL)"
        for name in ("sasl_mechanism", "sasl_username", "sasl_password")
    ]


def test_credentials_without_sasl_and_certificates_without_ssl_are_faults() -> None:
    lines = faults(KAFKA_SASL_USERNAME="worker", KAFKA_SSL_CAFILE="/ca.pem")
    assert lines == [
        (
            'SESSIONIZER_KAFKA_SASL_USERNAME = "worker": has no meaning with '
            'kafka.security_protocol = "PLAINTEXT": use SASL_SSL or SASL_PLAINTEXT'
        ),
        (
            'SESSIONIZER_KAFKA_SSL_CAFILE = "/ca.pem": has no meaning with '
            'kafka.security_protocol = "PLAINTEXT": use SSL or SASL_SSL'
        ),
    ]


def test_certificate_files_must_be_readable(tmp_path: Path) -> None:
    (line,) = faults(KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_CAFILE=str(tmp_path / "ca.pem"))
    assert line.endswith("cannot be read: No such file or directory")
    (line,) = faults(KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_CAFILE=str(tmp_path))
    assert line.endswith("cannot be read: Is a directory")


def test_a_key_needs_its_certificate(tmp_path: Path) -> None:
    (tmp_path / "key.pem").touch()
    lines = faults(KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_KEYFILE=str(tmp_path / "key.pem"))
    assert len(lines) == 1
    assert "the certificate of that key" in lines[0]


# --- OAUTHBEARER -------------------------------------------------------------------------------------------

TOKENS = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
    "KAFKA_SASL_OAUTH_TOKEN_URL": "https://login.example.com/oauth2/token",
    "KAFKA_SASL_OAUTH_CLIENT_ID": "worker",
    "KAFKA_SASL_OAUTH_CLIENT_SECRET": "hunter2",
}


def accepted(**variables: str) -> bool:
    load(None, {f"SESSIONIZER_{name}": value for name, value in variables.items()})
    return True


def test_oauthbearer_needs_endpoint_client_and_secret_and_no_password() -> None:
    assert accepted(**TOKENS)
    given = {name: value for name, value in TOKENS.items() if "OAUTH_" not in name}
    assert faults(**given, KAFKA_SASL_PASSWORD="hunter2") == [
        *(
            f'default: kafka.sasl_oauth_{name} = "": is needed with kafka.sasl_mechanism = "OAUTHBEARER" '
            "(SESSIONIZER_KAFKA_SASL_MECHANISM)"
            for name in ("token_url", "client_id", "client_secret")
        ),
        (
            "SESSIONIZER_KAFKA_SASL_PASSWORD = ***: has no meaning with "
            'kafka.sasl_mechanism = "OAUTHBEARER" (SESSIONIZER_KAFKA_SASL_MECHANISM)'
        ),
    ]


def test_tokens_have_no_meaning_without_oauthbearer() -> None:
    lines = faults(**TOKENS | {"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "worker"})
    assert len([line for line in lines if "has no meaning with kafka.sasl_mechanism" in line]) == 3
    assert "hunter2" not in "\n".join(lines)


@pytest.mark.parametrize(
    "url",
    [
        "login.example.com/token",
        "http://login.example.com/token",
        "https://",
        "https://worker:hunter2@login.example.com/token",
        "https://[login/token",
        "https://login.example.com:port/token",
        "ftp://localhost/token",
    ],
)
def test_the_client_secret_is_sent_to_an_https_address_only(url: str) -> None:
    (line,) = faults(**TOKENS | {"KAFKA_SASL_OAUTH_TOKEN_URL": url})
    assert "expected https://host/path, without a user (http:// on localhost only" in line


@pytest.mark.parametrize(
    "url", ["http://localhost:8080/token", "http://127.0.0.1/token", "http://[::1]/token"]
)
def test_on_this_machine_it_may_go_without_tls(url: str) -> None:
    assert accepted(**TOKENS | {"KAFKA_SASL_OAUTH_TOKEN_URL": url})


def test_the_authority_of_the_endpoint_must_be_readable_and_of_use(tmp_path: Path) -> None:
    (line,) = faults(**TOKENS, KAFKA_SASL_OAUTH_CAFILE=str(tmp_path / "ca.pem"))
    assert line.endswith("cannot be read: No such file or directory")
    (tmp_path / "ca.pem").touch()
    local = TOKENS | {"KAFKA_SASL_OAUTH_TOKEN_URL": "http://localhost/token"}
    (line,) = faults(**local, KAFKA_SASL_OAUTH_CAFILE=str(tmp_path / "ca.pem"))
    assert line.endswith("use https")


def test_config_show_hides_the_client_secret(sessionizer: Sessionizer, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    variables = {name: value for name, value in TOKENS.items() if not name.endswith("SECRET")}
    variables["KAFKA_SASL_OAUTH_CLIENT_SECRET_FILE"] = str(tmp_path / "secret")
    for form in ("table", "toml"):
        shown = sessionizer("config", "show", "--format", form, **variables)
        assert shown.code == 0
        assert "hunter2" not in shown.out + shown.err
        assert "***" in shown.out
