"""From settings, options and the environment to an address."""

from pathlib import Path

import pytest

from jobs.settings.job import StoreSettings
from jobs.storage import corpus_address, store_address
from schemas.errors import SettingsError
from schemas.store import StoreAddress
from tests.jobs.small import build_here, voxmill, write_job

AWS = "ENDPOINT_URL ENDPOINT_URL_S3 PROFILE ACCESS_KEY_ID WEB_IDENTITY_TOKEN_FILE".split()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in AWS:
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def test_a_folder_has_no_options() -> None:
    assert store_address("corpus", StoreSettings(region="x")) == StoreAddress("corpus")


def test_an_endpoint_that_says_http_is_taken_as_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_address("s3://b", StoreSettings()).options.allow_http is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert store_address("s3://b", StoreSettings()).options.allow_http is True
    assert store_address("s3://b", StoreSettings(allow_http=False)).options.allow_http is False


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "ftp://x", "http://", "http://u:pw@x"])
def test_an_endpoint_that_is_no_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    """The client would panic."""
    for settings in (StoreSettings(endpoint=endpoint), StoreSettings()):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(SettingsError, match="wanted an address such as https://") as caught:
            store_address("s3://b", settings)
        assert "pw" not in str(caught.value)


def test_keys_in_the_environment_stand_above_a_profile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def profile(settings: StoreSettings | None = None) -> str | None:
        return store_address("s3://b", settings or StoreSettings()).options.profile

    assert profile() is None
    (tmp_path / "credentials").write_text("[default]\n")
    assert profile() == "default"
    monkeypatch.setenv("AWS_PROFILE", "mine")
    assert profile() == "mine"
    assert profile(StoreSettings(profile="other")) == "other"
    assert profile(StoreSettings(anonymous=True)) is None
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    assert profile() is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("endpoint", "wanted KEY=VALUE"),
        ("endpont=x", "--store endpont.*the keys are endpoint, region"),
        ("timeout_s=-1", "--store timeout_s"),
        ("timeout_s=.inf", "--store timeout_s.*finite"),
        ("endpoint=[x", "--store endpoint=.*not a YAML value"),
    ],
)
def test_a_wrong_store_option_is_refused(change: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        corpus_address("s3://b", [change])


def test_store_options_of_a_command_are_settings() -> None:
    options = corpus_address("s3://b/c", ["region=eu-west-1", "virtual_hosted=true"]).options
    assert (options.region, options.virtual_hosted) == ("eu-west-1", True)


def test_where_a_corpus_lies_is_in_no_manifest(tmp_path: Path) -> None:
    job = write_job(tmp_path, output={"store": {"endpoint": "http://hidden.example"}})
    assert build_here(job, tmp_path / "out").code == 0
    for path in (tmp_path / "out").rglob("*.json"):
        assert "hidden.example" not in path.read_text("utf-8"), path


@pytest.mark.parametrize("grace", ["soon", "-1h", "1w"])
def test_a_grace_period_that_is_no_time_is_refused(tmp_path: Path, grace: str) -> None:
    done = voxmill("clean", tmp_path, f"--grace={grace}")
    assert done.code == 2
    assert "wanted a time such as 24h" in done.err
