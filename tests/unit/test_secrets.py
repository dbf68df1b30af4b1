# SPDX-License-Identifier: Apache-2.0
import copy
import pickle

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
