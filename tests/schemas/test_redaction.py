"""What is taken for a secret, what is not, and what a message keeps of one."""

import pytest

from schemas.redaction import HIDDEN, looks_secret, names_secret, redacted, secrets_in

SECRET_NAMES = """
API_KEY APIKEY OPENAIAPIKEY ACCESSKEY AWS_ACCESS_KEY_ID HF_TOKEN HF_TOKENS TOKENS PASSWD DB_PASSWD
PWD DB_PWD AUTH BASIC_AUTH OAUTH2_TOKEN Authorization BEARER CREDENTIALS apiKey x-api-key KEY2
GOOGLE_APPLICATION_CREDENTIALS PGPASSWORD clientSecret SSH_PRIVATE_KEY DB_PASS API_KEYS AUTHTOKEN
accesstoken COOKIE PRIVATEKEY APIKey X-Auth KEY SECRET TOKEN PASSWORD CREDENTIAL
"""
HARMLESS_NAMES = """
MAX_TOKENS max_completion_tokens maxTokens maxtokens TOKENIZERS_PARALLELISM tokenizer KEYBOARD
KEYWORDS MONKEY author AUTHENTIC stop_token_ids eos_token_id skip_special_tokens token_ids
return_tokens_as_token_ids thinking_token_budget RAY_AUTH_MODE AWS_WEB_IDENTITY_TOKEN_FILE
prompt_cache_key PUBLIC_KEY AWS_REGION HIGH_PASS PASS_THROUGH COMPASS SECRETARY top_k cache_salt
chat_template_kwargs truncate_prompt_tokens OMP_NUM_THREADS api_key_env
"""
# Made here in parts, so that no scanner of repositories takes them for real ones.
SECRETS = {
    "openai": "sk-" + "proj-0a1b2c3d4e5f6a7b8c9d",
    "hugging face": "hf_" + "abcdefghijKLMNOPqrstuvwxyz01",
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345",
    "slack": "xoxb-" + "123456789012-abcdef",
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTYifQ." + "c2lnbmF0dXJl",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
    "bearer": "Bearer " + "abc123def456",
    "azure": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=" + "Zm9vYmFy",
}


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_the_name_of_a_secret_is_one(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize("name", HARMLESS_NAMES.split())
def test_a_name_with_a_harmless_token_or_key_in_it_is_none(name: str) -> None:
    assert not names_secret(name)


@pytest.mark.parametrize("kind", SECRETS)
def test_a_key_is_known_by_its_shape_and_blanked_out_of_a_message(kind: str) -> None:
    value = SECRETS[kind]
    assert looks_secret(value)
    assert looks_secret(f"it is {value} there")
    shown = redacted(f"refused: {value} is no key")
    assert HIDDEN in shown
    assert value.rpartition("=")[2][-6:] not in shown
    assert shown.startswith("refused: ")


@pytest.mark.parametrize(
    "value",
    [
        "sk-learn-is-a-library",
        "a desk-0123456789abcdefgh",
        "hf_home",
        "http://llm.models:8000/v1",
        "basic communication skills",
        "Bearer of bad news",
        "-----BEGIN CERTIFICATE-----",
        "https://example.com/?q=sky",
    ],
)
def test_what_is_no_key_stays(value: str) -> None:
    assert not looks_secret(value)
    assert redacted(value.partition("?")[0]) == value.partition("?")[0]


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("cannot read sftp://me:pw9@host/rows: no", "cannot read sftp://***@host/rows: no"),
        (
            "403, url='https://b.s3/x.jsonl?X-Amz-Signature=ab%2F1&X-Amz-Date=2'",
            "403, url='https://b.s3/x.jsonl?...'",
        ),
        ("exceeded with url: /x?sig=ab (caused by)", "exceeded with url: /x?... (caused by)"),
        ("source https://h/x?sig=ab: gone; check", "source https://h/x?...: gone; check"),
        ("did you mean 'rows'? wanted a = b", "did you mean 'rows'? wanted a = b"),
    ],
)
def test_addresses_lose_their_user_and_their_query_alone(message: str, kept: str) -> None:
    assert redacted(message) == kept


def test_secrets_are_found_however_deep_and_told_by_their_place() -> None:
    extra = {
        "headers": {"Authorization": "x"},
        "stop": ["a", SECRETS["aws"]],
        "max_tokens": 7,
        "api_key": "",
        "auth": False,
        "top": {"x": [{"deep": SECRETS["jwt"]}]},
        SECRETS["github"]: 1,
    }
    assert list(secrets_in(extra)) == [
        "headers.Authorization",
        "stop.1",
        "top.x.0.deep",
        "(a key)",
    ]
