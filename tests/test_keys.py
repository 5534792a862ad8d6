"""Key providers: what each needs, and what it says when it does not have it."""

from __future__ import annotations

import base64
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from masker.errors import KeysError, MissingExtraError
from masker.vault import providers
from masker.vault.aws import AwsKmsKeys
from masker.vault.keyfile import make_key_file
from masker.vault.providers import (
    EnvironmentKeys,
    FileKeys,
    KeyProvider,
    PassphraseKeys,
    new_root_key,
    open_keys,
)

KEY = bytes(range(32))
CONTEXT = {"store": "abc", "epoch": "1", "suite": "1"}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "masker.keys"
    make_key_file(path)
    return path


@pytest.fixture(scope="module")
def kms() -> Iterator[Any]:
    """AWS KMS as moto's server answers it, over HTTP."""
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield boto3.client(
        "kms",
        region_name="eu-west-1",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    server.stop()


@pytest.fixture(params=["file", "env", "passphrase", "sm4", "kms"])
def provider(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> KeyProvider:
    match request.param:
        case "file":
            make_key_file(tmp_path / "keys")
            return open_keys(f"file:{tmp_path / 'keys'}")
        case "env" | "sm4":
            monkeypatch.setenv("MASKER_TEST_KEY", new_root_key())
            return open_keys("env:MASKER_TEST_KEY")
        case "passphrase":
            monkeypatch.setattr(providers, "SCRYPT_N", 2**10)
            return PassphraseKeys("correct horse battery staple")
        case _:
            kms = request.getfixturevalue("kms")
            return AwsKmsKeys(kms.create_key()["KeyMetadata"]["KeyId"], client=kms)


def test_every_provider_gives_back_what_it_wrapped_for_the_same_context(
    provider: KeyProvider, request: pytest.FixtureRequest
) -> None:
    context = {**CONTEXT, "suite": "2" if "sm4" in request.node.name else "1"}
    wrapped = provider.wrap(KEY, context)
    assert provider.unwrap(wrapped, context) == KEY
    assert KEY not in wrapped
    assert provider.wrap(KEY, context) != wrapped
    provider.destroy(wrapped)
    with pytest.raises(KeysError):
        provider.unwrap(wrapped, {**context, "store": "abd"})
    for at in (0, len(wrapped) // 2, len(wrapped) - 1):
        changed = bytearray(wrapped)
        changed[at] ^= 1
        with pytest.raises(KeysError):
            provider.unwrap(bytes(changed), context)
    assert KEY.hex() not in repr(provider)


def test_contexts_that_differ_only_in_where_they_are_cut_are_different() -> None:
    canonical = providers._canonical
    assert canonical({"a": "bc"}) != canonical({"ab": "c"})
    assert canonical({"a": "b", "c": "d"}) == canonical({"c": "d", "a": "b"})


# --- the key file ----------------------------------------------------------------------


def test_a_key_file_is_made_for_its_owner_alone(key_file: Path) -> None:
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


def test_a_key_file_is_made_for_its_owner_alone_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_key_file(tmp_path / "keys")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600


def test_a_key_file_is_never_overwritten(key_file: Path) -> None:
    before = key_file.read_bytes()
    with pytest.raises(KeysError, match="exists already and was not changed"):
        make_key_file(key_file)
    assert key_file.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o606, 0o644, 0o777, 0o610, 0o601])
def test_a_key_file_that_others_may_touch_is_refused_and_it_is_said_how_to_mend_it(
    key_file: Path, mode: int
) -> None:
    key_file.chmod(mode)
    with pytest.raises(KeysError, match=f"chmod 600 {key_file}"):
        FileKeys(key_file)
    key_file.chmod(0o400)
    FileKeys(key_file)


def test_a_missing_key_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="masker keys init --keys file:"):
        FileKeys(tmp_path / "nowhere")


def test_a_damaged_key_file_is_told_from_a_whole_one(key_file: Path) -> None:
    whole = key_file.read_bytes()
    secret = whole.rpartition(b":")[2].strip()
    start = whole.index(b"masker-key-1")
    for at in range(start, len(whole) - 1):
        changed = bytearray(whole)
        changed[at] ^= 1
        key_file.write_bytes(changed)
        with pytest.raises(KeysError, match="damaged") as caught:
            FileKeys(key_file)
        assert secret.decode() not in str(caught.value)
    for text in (b"", b"\0" * 100, whole + whole, whole[:-10], b"\xff\xfe"):
        key_file.write_bytes(text)
        with pytest.raises(KeysError, match="damaged"):
            FileKeys(key_file)


def test_a_folder_is_no_key_file(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(KeysError, match="cannot be read"):
        FileKeys(tmp_path)


# --- the others ------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "short", "x" * 64, base64.b64encode(bytes(31)).decode()])
def test_an_environment_variable_that_is_no_key_is_told_by_its_name(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASKER_TEST_KEY", text)
    with pytest.raises(KeysError, match="MASKER_TEST_KEY") as caught:
        EnvironmentKeys("MASKER_TEST_KEY")
    assert not text or text not in str(caught.value)


def test_a_key_in_the_environment_may_be_base64_or_hex(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKER_TEST_KEY", KEY.hex())
    wrapped = EnvironmentKeys("MASKER_TEST_KEY").wrap(bytes(32), CONTEXT)
    monkeypatch.setenv("MASKER_TEST_KEY", base64.b64encode(KEY).decode())
    assert open_keys("environment:MASKER_TEST_KEY").unwrap(wrapped, CONTEXT) == bytes(32)


def test_a_passphrase_costs_what_it_is_said_to_cost() -> None:
    assert (providers.SCRYPT_N, providers.SCRYPT_R, providers.SCRYPT_P) == (2**17, 8, 1)
    wrapped = PassphraseKeys("one").wrap(KEY, CONTEXT)
    assert PassphraseKeys("one").unwrap(wrapped, CONTEXT) == KEY
    with pytest.raises(KeysError, match="does not hold the keys"):
        PassphraseKeys("two").unwrap(wrapped, CONTEXT)


def test_passphrases_come_from_a_variable_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "SCRYPT_N", 2**10)
    (tmp_path / "phrase").write_text("geheim\n")
    monkeypatch.setenv("MASKER_TEST_PHRASE", "geheim")
    wrapped = open_keys(f"passphrase:file:{tmp_path / 'phrase'}").wrap(KEY, CONTEXT)
    assert open_keys("passphrase:env:MASKER_TEST_PHRASE").unwrap(wrapped, CONTEXT) == KEY


@pytest.mark.parametrize(
    "specification",
    ["", "file:", "masker.keys", "env:", "passphrase:", "passphrase:secret", "kms:x", "aws-kms:",
     "passphrase:env:MASKER_NOT_SET", "passphrase:file:/nowhere/at/all"],
)  # fmt: skip
def test_a_specification_nobody_knows_says_what_there_is(specification: str) -> None:
    with pytest.raises(KeysError):
        open_keys(specification)


def test_kms_failures_are_told_by_their_code(kms: Any) -> None:
    with pytest.raises(KeysError, match="refused to encrypt: NotFoundException"):
        AwsKmsKeys("00000000-0000-0000-0000-000000000000", client=kms).wrap(KEY, CONTEXT)


def test_a_kms_out_of_reach_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(KeysError, match="cannot be reached to encrypt"):
        open_keys("aws-kms:alias/masker").wrap(KEY, CONTEXT)


def test_kms_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtraError, match=r"masker\[aws\]"):
        open_keys("aws-kms:alias/masker")
