# SPDX-License-Identifier: Apache-2.0
import copy
import pickle
import sys
from types import SimpleNamespace

import pytest

from v2x import secrets
from v2x.errors import LoginError, UsageError
from v2x.secrets import Secret


def test_a_secret_shows_itself_masked():
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "hunter2"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)


def test_a_password_file_must_be_private(tmp_path):
    file = tmp_path / "pw"
    file.write_text("hunter2\nnot this\n")
    file.chmod(0o644)
    with pytest.raises(UsageError, match="may be read by others") as caught:
        secrets.from_file(file)
    assert caught.value.code == "SECRET-FILE-MODE"
    file.chmod(0o600)
    assert secrets.from_file(file).reveal() == "hunter2"


@pytest.mark.parametrize(("content", "message"), [(b"", "empty"), (b"\n", "empty"), (b"\xff\n", "UTF-8")])
def test_odd_password_files(tmp_path, content, message):
    file = tmp_path / "pw"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(UsageError, match=message):
        secrets.from_file(file)


def test_order_of_places(tmp_path, monkeypatch):
    file = tmp_path / "pw"
    file.write_text("from-file")
    file.chmod(0o600)
    monkeypatch.setenv("V2X_TARGET_PASSWORD", "from-env")
    monkeypatch.setenv("POOL1", "from-reference")
    assert secrets.find(side="target", who="r@h", files={"": str(file)}).reveal() == "from-file"
    assert secrets.find(side="target", who="r@h", reference="env:POOL1").reveal() == "from-reference"
    assert secrets.find(side="target", who="r@h", reference=f"file:{file}").reveal() == "from-file"
    assert secrets.find(side="target", who="r@h").reveal() == "from-env"
    monkeypatch.delenv("V2X_TARGET_PASSWORD")
    asked = []
    assert secrets.find(side="target", who="r@h", ask=lambda text: asked.append(text) or "typed").reveal() == "typed"
    assert asked == ["Password of r@h: "]
    with pytest.raises(LoginError, match="no password for r@h"):
        secrets.find(side="target", who="r@h")


@pytest.mark.parametrize("reference", ["env:NOT_SET", "vault:x", "file:/nonexistent"])
def test_references_that_lead_nowhere(reference, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(UsageError):
        secrets.find(side="source", who="u@h", reference=reference)


class KeyringError(Exception):
    pass


class KeyringLocked(KeyringError):
    pass


class Wallet:
    """What the module keyring is to v2x: a keyring of the system, unlocked or not."""

    errors = SimpleNamespace(KeyringError=KeyringError)

    def __init__(self, entries=(), locked=False):
        self.entries, self.locked, self.asked = dict(entries), locked, []

    def get_password(self, service, user):
        self.asked.append((service, user))
        if self.locked:
            raise KeyringLocked(f"the collection of {service} holds hunter2 and is locked")
        return self.entries.get((service, user))


@pytest.fixture
def keyring(monkeypatch):
    def put(**given):
        wallet = Wallet(**given)
        monkeypatch.setitem(sys.modules, "keyring", wallet)
        return wallet

    return put


def test_a_keyring_is_asked_for_the_entry_that_is_named(keyring):
    wallet = keyring(entries={("v2x", "root@pool/1"): "hunter2"})
    assert secrets.find(side="target", who="root@pool", reference="keyring:v2x/root@pool/1").reveal() == "hunter2"
    assert wallet.asked == [("v2x", "root@pool/1")]


def test_a_keyring_goes_before_the_environment_and_after_a_file(keyring, monkeypatch, tmp_path):
    keyring(entries={("v2x", "root"): "from keyring"})
    monkeypatch.setenv("V2X_TARGET_PASSWORD", "from environment")
    file = tmp_path / "pw"
    file.write_text("from file\n")
    file.chmod(0o600)
    given = {"side": "target", "who": "root@pool", "reference": "keyring:v2x/root"}
    assert secrets.find(**given).reveal() == "from keyring"
    assert secrets.find(**given, files={"": str(file)}).reveal() == "from file"


def test_a_keyring_without_the_entry_or_locked_says_what_to_do(keyring):
    keyring()
    with pytest.raises(UsageError, match="no entry v2x/root") as caught:
        secrets.find(side="target", who="root@pool", reference="keyring:v2x/root")
    assert caught.value.code == "SECRET-MISSING"
    assert caught.value.hint == "keyring set v2x root"
    keyring(locked=True)
    with pytest.raises(UsageError, match="the keyring refused: KeyringLocked") as caught:
        secrets.find(side="target", who="root@pool", reference="keyring:v2x/root")
    assert "hunter2" not in str(caught.value) + caught.value.hint


def test_without_the_package_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(UsageError, match="no keyring support") as caught:
        secrets.find(side="target", who="root@pool", reference="keyring:v2x/root")
    assert "v2x[keyring]" in caught.value.hint
