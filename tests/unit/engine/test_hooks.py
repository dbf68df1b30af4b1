# SPDX-License-Identifier: Apache-2.0
import http.server
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from v2x.config import load_config
from v2x.engine.hooks import HookFailed, chosen, run_hook
from v2x.engine.inline import InlineEngine
from v2x.errors import UsageError
from v2x.model.hook import MOMENTS, Hook
from v2x.model.migration import Outcome


@pytest.fixture
def script(tmp_path):
    def write(text):
        path = tmp_path / "hook.sh"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o700)
        return str(path)

    return write


def test_a_command_gets_the_description_and_its_words_are_kept(script, tmp_path):
    got = tmp_path / "got"
    hook = Hook(name="h", at=("before copy",), command=(script(f"cat > {got}; printf 'done\\033[31m'"),))
    assert run_hook(hook, {"machine": "web"}) == "done\\x1b[31m"
    assert json.loads(got.read_text()) == {"schema": "v2x.hook/1", "hook": "h", "machine": "web"}


def test_a_command_sees_no_secret_of_the_environment(script, monkeypatch):
    monkeypatch.setenv("V2X_TARGET_PASSWORD", "hunter2")
    hook = Hook(name="h", at=("before copy",), command=(script("env"),))
    assert "hunter2" not in run_hook(hook, {})


def test_what_fails_and_what_takes_too_long(script):
    with pytest.raises(HookFailed, match=r"hook h: .*no such luck"):
        run_hook(Hook(name="h", at=(), command=(script("echo no such luck >&2; exit 3"),)), {})
    with pytest.raises(HookFailed, match=r"did not end within 0\.2 s"):
        run_hook(Hook(name="h", at=(), command=(script("sleep 9"),), seconds=0.2), {})


@pytest.fixture
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.bodies.append((self.path, json.loads(body)))
            self.send_response(204 if self.path.startswith("/ok") else 500)
            self.end_headers()

        def log_message(self, *_): ...

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.bodies = []
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_a_webhook(server):
    url = f"http://127.0.0.1:{server.server_port}"
    run_hook(Hook(name="h", at=(), url=f"{url}/ok?x=1"), {"moment": "after seal"})
    assert server.bodies == [("/ok?x=1", {"schema": "v2x.hook/1", "hook": "h", "moment": "after seal"})]
    with pytest.raises(HookFailed, match="answered 500"):
        run_hook(Hook(name="h", at=(), url=f"{url}/no"), {})
    server.shutdown()
    server.server_close()
    with pytest.raises(HookFailed, match="hook h"):
        run_hook(Hook(name="h", at=(), url=f"{url}/ok"), {})


def test_the_moments_are_those_of_the_itinerary():
    assert MOMENTS[0] == "before preflight"
    assert MOMENTS[-2:] == ("after health check", "alarm")
    hook = Hook(name="h", at=("after seal",), command=("/bin/true",))
    assert chosen(["h"], {"h": hook}, "after seal") == [hook]
    assert chosen(["h"], {"h": hook}, "before seal") == []
    with pytest.raises(UsageError, match="no hook x"):
        chosen(["x"], {"h": hook}, "after seal")


def inline(estate, *hooks):
    engine = InlineEngine(estate.doors, estate.watcher, hooks={hook.name: hook for hook in hooks})
    engine.submit([replace(estate.order(1), hooks=tuple(hook.name for hook in hooks))])
    engine.resume()
    return engine


def test_hooks_run_at_their_moments_and_stand_in_the_log(estate, script, tmp_path):
    log = tmp_path / "log"
    hook = Hook(name="h", at=("before copy", "after seal"), command=(script(f"cat >> {log}; echo >> {log}; echo hi"),))
    engine = inline(estate, hook)
    assert engine.status()[0].outcome is Outcome.MIGRATED
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(one["moment"], one["machine"], one["migration"]) for one in told] == [
        ("before copy", "web1", "t1"),
        ("after seal", "web1", "t1"),
    ]
    assert [event.text for event in engine.events() if event.kind == "hook"] == [
        "before copy: h: hi",
        "after seal: h: hi",
    ]


@pytest.mark.parametrize(
    ("at", "stops", "outcome"),
    [
        ("before copy", True, Outcome.FAILED),
        ("before copy", False, Outcome.MIGRATED),
        ("after copy", True, Outcome.FAILED),
        ("after seal", True, Outcome.MIGRATED),
    ],
)
def test_a_hook_that_fails(estate, at, stops, outcome):
    engine = inline(estate, Hook(name="h", at=(at,), command=("/bin/false",), stops=stops))
    (one,) = engine.status()
    assert one.outcome is outcome
    assert any("hook h" in warning for warning in one.warnings)
    if outcome is Outcome.FAILED:
        assert (one.failure.code, one.failure.exit_code) == ("HOOK", 4)


def config(tmp_path, text, mode=0o600):
    path = Path(tmp_path / "v2x.toml")
    path.write_text(text)
    path.chmod(mode)
    return path


def test_hooks_come_from_a_file_of_the_users_alone(tmp_path):
    text = '[hook.tell]\nat = ["after seal"]\ncommand = ["/bin/true", "x"]\nseconds = 5\nstops = false\n'
    found = load_config(config(tmp_path, text)).hooks
    assert found == {
        "tell": Hook(name="tell", at=("after seal",), command=("/bin/true", "x"), seconds=5.0, stops=False)
    }
    with pytest.raises(UsageError) as refused:
        load_config(config(tmp_path, text, 0o644))
    assert refused.value.code == "CONFIG-MODE"


@pytest.mark.parametrize(
    "table",
    [
        'command = ["/bin/true"]',
        'at = ["before lunch"]\ncommand = ["/bin/true"]',
        'at = ["after seal"]',
        'at = ["after seal"]\ncommand = ["true"]',
        'at = ["after seal"]\ncommand = "/bin/true"',
        'at = ["after seal"]\ncommand = ["/bin/true"]\nurl = "https://h/"',
        'at = ["after seal"]\nurl = "http://example.org/"',
        'at = ["after seal"]\nurl = "ftp://example.org/"',
        'at = ["after seal"]\ncommand = ["/bin/true"]\nseconds = 0',
        'at = ["after seal"]\ncommand = ["/bin/true"]\nseconds = true',
        'at = ["after seal"]\ncommand = ["/bin/true"]\nstops = "no"',
        'at = ["after seal"]\ncommand = ["/bin/true"]\nshell = true',
    ],
)
def test_hooks_that_are_none(tmp_path, table):
    with pytest.raises(UsageError, match=r"\[hook\.h\]"):
        load_config(config(tmp_path, f"[hook.h]\n{table}\n"))
