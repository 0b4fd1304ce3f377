"""The broker's URL: what is refused, what is shown, and that no part of a password ever is."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.broker import celery_settings
from erfnet_jobs.broker_url import check_broker_url, shown_url, tls_options, without_tls_options
from erfnet_jobs.errors import UsageError

TYPED = st.text(st.sampled_from("aZ9/?#@:;%&=[] ü"), max_size=8)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:secret@host:6379/1", "redis://user:***@host:6379/1"),
        ("redis://:secret@host", "redis://:***@host"),
        ("redis://secret@host", "redis://***@host"),
        ("rediss://:secret@[::1]:6380/0?ssl_cert_reqs=none", "rediss://:***@[::1]:6380/0?ssl_cert_reqs=none"),
        ("redis+socket:///tmp/redis.sock", "redis+socket:///tmp/redis.sock"),
    ],
)
def test_what_is_shown(url: str, shown: str) -> None:
    check_broker_url(url)
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://host", "begins with 'http'"),
        ("redis://:12#secret@host", "%23"),
        ("redis://:secret/word@host", "%2F"),
        ("redis://:one@a;redis://:two@b", "%3B"),
        ("redis://host?password=secret", "before the host"),
        ("redis://host?ssl_ca_certs=/x", "begin with rediss://"),
        ("rediss://host?ssl_ca_certs=/no/such/file", "/no/such/file"),
        ("rediss://host?ssl_cert_reqs=maybe", "give required"),
        ("rediss://host?ssl_check_hostname=maybe", "give true or false"),
    ],
)
def test_what_is_refused(url: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_broker_url(url)
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


@given(before=TYPED, after=TYPED)
def test_no_part_of_a_password_that_nobody_escaped_is_told(before: str, after: str) -> None:
    url = f"redis://:{before}xyzzy{after}@host/0"
    assert "xyzzy" not in shown_url(url)
    try:
        check_broker_url(url)
    except UsageError as error:
        assert "xyzzy" not in str(error)  # noqa: PT017 - that it is refused is not what is tried


@given(password=st.text(min_size=1, max_size=12))
def test_any_password_can_be_written(password: str) -> None:
    url = f"redis://:{quote(password, safe='')}@host/0"
    check_broker_url(url)
    assert shown_url(url) == "redis://:***@host/0"


def test_certificates_are_checked_unless_the_url_says_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.touch()
    assert tls_options("redis://host") is None
    assert tls_options("rediss://host") == {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    assert tls_options("rediss://host?ssl_cert_reqs=CERT_NONE") == {
        "ssl_cert_reqs": "none",
        "ssl_check_hostname": False,
    }
    options = tls_options(f"rediss://host?ssl_ca_certs={file}&ssl_check_hostname=false")
    assert options == {"ssl_cert_reqs": "required", "ssl_check_hostname": False, "ssl_ca_certs": str(file)}


def test_celery_gets_tls_as_options_and_not_in_the_url() -> None:
    assert without_tls_options("rediss://h/0?ssl_cert_reqs=none&virtual_host=1") == "rediss://h/0?virtual_host=1"
    assert without_tls_options("rediss://h/0?ssl_cert_reqs=none") == "rediss://h/0"
    settings = celery_settings("rediss://:pw@h/0")
    assert settings["broker_url"] == "rediss://:pw@h/0"
    assert settings["broker_use_ssl"]["ssl_cert_reqs"] == "required"
    assert celery_settings("redis://h/0")["broker_use_ssl"] is False
