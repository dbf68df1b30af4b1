# SPDX-License-Identifier: Apache-2.0
import io
import json
import logging

import pytest

from v2x import log
from v2x.errors import TargetError


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("GET /import_raw_vdi?session_id=OpaqueRef:aaaabbbb-cccc-dddd&vdi=x", "aaaabbbb"),
        ("login password=hunter2 failed", "hunter2"),
        ("Authorization: Basic cm9vdDpwdw==", "cm9vdDpwdw"),
        ("https://root:hunter2@host/x", "hunter2"),
        ('Cookie: vmware_soap_session="deadbeef01"; Path=/', "deadbeef01"),
        ("vmware-api-session-id: deadbeef02", "deadbeef02"),
        ("ref OpaqueRef:12345678-1234-1234-1234-123456789012 gone", "12345678-1234"),
    ],
)
def test_secrets_do_not_pass(text, secret):
    assert secret not in log.redact(text)


def test_errors_keep_no_session_that_a_server_said():
    said = "HANDLE_INVALID: session OpaqueRef:aaaabbbb-cccc-dddd, https://root:hunter2@host/?session_id=aaaabbbb"
    error = TargetError(said, hint=f"look at {said}")
    assert "aaaabbbb" not in f"{error} {error.hint} {error!r} {error.message}"
    assert "hunter2" not in f"{error} {error.hint} {error!r}"


def test_words_for_people_are_left_as_they_are():
    hint = "password: check it; give --target-password-file FILE, secret = keyring:v2x/root, sha256:ab"
    assert TargetError("refused", hint=hint).hint == hint


def test_lines_cannot_be_forged():
    stream = io.StringIO()
    log.set_up(stream=stream)
    logging.getLogger("v2x.x").warning("name\nERROR: fake \x1b[31m")
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()


def test_json_lines():
    stream = io.StringIO()
    log.set_up(as_json=True, verbose=True, stream=stream)
    logging.getLogger("v2x.x").info("password=hunter2", extra={"machine": "web\n1"})
    line = json.loads(stream.getvalue())
    assert line["level"] == "info"
    assert line["machine"] == "web\\x0a1"
    assert "hunter2" not in stream.getvalue()


def test_quiet_lets_errors_pass_only():
    stream = io.StringIO()
    log.set_up(quiet=True, stream=stream)
    logging.getLogger("v2x").warning("w")
    logging.getLogger("v2x").error("e")
    assert stream.getvalue() == "error: e\n"
