# SPDX-License-Identifier: Apache-2.0
"""Sessions against the stand-in, which speaks the real protocols: logins, certificates, encryption, refusals."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.hyperv_estates import estate, virtual_machine
from v2x.errors import (
    ConnectError,
    LoginError,
    PermissionRefused,
    SourceError,
    TrustError,
    Unsupported,
    UsageError,
    V2xError,
)
from v2x.model.address import parse_address
from v2x.secrets import Secret
from v2x.simulators.certificate import certificate_of, certificate_pem
from v2x.simulators.hyperv.service import HyperV
from v2x.sources.hyperv.access import ShareOptions
from v2x.sources.hyperv.login import HostAccess, host_access
from v2x.sources.hyperv.opening import open_hyperv
from v2x.sources.hyperv.scripts import COLLECT
from v2x.sources.hyperv.session import PowerShellSession
from v2x.sources.hyperv.source import HyperVSource
from v2x.tls import Trust

HTTP = {"transport": "http"}


@pytest.fixture
def hyperv(tmp_path: Path) -> Iterator[HyperV]:
    machines = [
        virtual_machine(id=f"11112222-3333-4444-8555-66667777888{number}", name=name, disks=[])
        for number, name in enumerate(("web01", "old01", "db01"))
    ]
    with HyperV(tmp_path / "hyperv", smb=False, estate=estate(*machines)) as served:
        yield served


def source(served: HyperV, *, settings: dict[str, str] | None = None, password: str = "", **trust: str) -> HyperVSource:
    address = served.http_address if (settings or {}).get("transport") == "http" else served.address
    if not trust and address == served.address:
        trust = {"fingerprint": served.fingerprint}
    return open_hyperv(parse_address(address), Secret(password or served.password), settings=settings, **trust)


def refusal(opened: HyperVSource) -> V2xError:
    with pytest.raises(V2xError) as refused:
        opened.inventory()
    return refused.value


def messages(served: HyperV) -> set[str]:
    return {one.subject for one in served.ledger.of("message")}


@pytest.mark.parametrize("auth", ["negotiate", "ntlm"])
def test_a_pinned_host_over_https(hyperv: HyperV, auth: str) -> None:
    found = source(hyperv, settings={"auth": auth}).inventory()
    assert [one.name for one in found.machines] == ["web01", "old01", "db01"]
    assert messages(hyperv) == {"over TLS"}


def test_a_host_whose_ca_is_given(hyperv: HyperV, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(hyperv.ca)
    assert len(source(hyperv, ca_file=str(tmp_path / "ca.pem")).inventory().machines) == 3


def test_a_name_that_the_certificate_does_not_have(hyperv: HyperV, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(hyperv.ca)
    address = parse_address(hyperv.address.replace("127.0.0.1", "localhost"))
    problem = refusal(open_hyperv(address, Secret(hyperv.password), ca_file=str(tmp_path / "ca.pem")))
    assert isinstance(problem, TrustError)
    assert hyperv.ledger.of("login") == []


def test_messages_over_http_are_encrypted(hyperv: HyperV) -> None:
    assert len(source(hyperv, settings=HTTP).inventory().machines) == 3
    assert messages(hyperv) == {"encrypted"}


def test_port_5985_means_http() -> None:
    access = host_access("h", 5985, "u", None, Trust(), {})
    assert (access.tls, access.port) == (False, 5985)
    assert host_access("h", None, "u", None, Trust(), {}).port == 5986


def test_a_certificate_that_nobody_vouches_for(hyperv: HyperV) -> None:
    problem = refusal(open_hyperv(parse_address(hyperv.address), Secret(hyperv.password)))
    assert isinstance(problem, TrustError)
    assert hyperv.fingerprint in problem.hint
    assert hyperv.ledger.of("login") == []


def test_another_certificate_than_the_pinned_one_gets_no_byte(hyperv: HyperV) -> None:
    problem = refusal(source(hyperv, fingerprint="sha256:" + "ab" * 32))
    assert isinstance(problem, TrustError)
    assert hyperv.fingerprint in problem.message
    assert hyperv.ledger.entries == []


def test_a_ca_that_signed_something_else(hyperv: HyperV, tmp_path: Path) -> None:
    other = certificate_pem(certificate_of(tmp_path, "other"))
    (tmp_path / "ca.pem").write_text(other)
    assert isinstance(refusal(source(hyperv, ca_file=str(tmp_path / "ca.pem"))), TrustError)


@pytest.mark.parametrize("settings", [{}, HTTP], ids=["https", "http"])
def test_a_wrong_password_is_tried_once(hyperv: HyperV, settings: dict[str, str]) -> None:
    problem = refusal(source(hyperv, settings=settings, password="wrong"))
    assert isinstance(problem, LoginError)
    assert "hvadmin" in problem.message
    assert [one.subject for one in hyperv.ledger.of("login")].count("refused") == 1


def test_a_wrong_password_is_not_tried_on_every_node(tmp_path: Path) -> None:
    with HyperV(tmp_path / "c", hosts=3, smb=False) as served:
        assert isinstance(refusal(source(served, password="wrong")), LoginError)
        assert {one.host for one in served.ledger.of("login")} == {"HV01"}


def test_basic_is_never_used(hyperv: HyperV) -> None:
    hyperv.faults.arm("only_basic", times=-1)
    problem = refusal(source(hyperv))
    assert isinstance(problem, LoginError)
    assert "Basic" in problem.hint
    with pytest.raises(UsageError, match="Basic"):
        source(hyperv, settings={"auth": "basic"})


def test_an_answer_in_clear_is_not_believed(hyperv: HyperV) -> None:
    hyperv.faults.arm("in_clear")
    problem = refusal(source(hyperv, settings=HTTP))
    assert isinstance(problem, TrustError)
    assert "in clear" in problem.message


def test_a_client_certificate_logs_in_without_a_password(tmp_path: Path) -> None:
    pem = certificate_of(tmp_path, "client")
    with HyperV(tmp_path / "h", smb=False, client_certificates={"mapped": certificate_pem(pem)}) as served:
        settings = {"auth": "certificate", "certificate": str(pem), "certificate_key": str(pem)}
        opened = open_hyperv(parse_address(served.address), None, fingerprint=served.fingerprint, settings=settings)
        assert len(opened.inventory().machines) == 3
        assert {one.subject for one in served.ledger.of("login")} == {"certificate of mapped"}
        stranger = certificate_of(tmp_path, "stranger")
        settings |= {"certificate": str(stranger), "certificate_key": str(stranger)}
        opened = open_hyperv(parse_address(served.address), None, fingerprint=served.fingerprint, settings=settings)
        assert isinstance(refusal(opened), V2xError)


def test_an_account_that_may_open_no_session(hyperv: HyperV) -> None:
    hyperv.faults.arm("access_denied")
    problem = refusal(source(hyperv))
    assert isinstance(problem, PermissionRefused)
    assert "Remote Management Users" in problem.hint


def test_an_account_without_rights_gets_an_empty_list_and_is_told(hyperv: HyperV) -> None:
    hyperv.faults.arm("no_rights")
    problem = refusal(source(hyperv))
    assert isinstance(problem, PermissionRefused)
    assert "CONTOSO\\hvadmin" in problem.message
    assert "Hyper-V Administrators" in problem.hint


def test_a_host_without_hyperv(hyperv: HyperV) -> None:
    hyperv.faults.arm("no_hyperv")
    problem = refusal(source(hyperv))
    assert isinstance(problem, Unsupported)
    assert problem.code == "NO-HYPERV"
    hyperv.faults.arm("denied", address="Get-VM")
    assert refusal(source(hyperv)).code == "NO-HYPERV"


def test_a_jea_endpoint_runs_the_named_function(hyperv: HyperV) -> None:
    assert len(source(hyperv, settings={"configuration": "v2x"}).inventory().machines) == 3


def test_an_endpoint_without_power_tells_the_state_and_changes_nothing(hyperv: HyperV) -> None:
    hyperv.jea_power = False
    opened = source(hyperv, settings={"configuration": "v2x"})
    machine = opened.inventory().machines[0]
    assert opened.state(machine) == "off"
    with pytest.raises(PermissionRefused) as denied:
        opened.stay_off(machine)
    assert denied.value.code == "COMMAND-DENIED"
    assert "--jea-power" in denied.value.hint
    assert hyperv.ledger.of("start_action") == []


def test_a_command_that_a_jea_endpoint_denies_is_named(hyperv: HyperV) -> None:
    hyperv.faults.arm("denied", address="Get-V2xInventory")
    problem = refusal(source(hyperv, settings={"configuration": "v2x"}))
    assert (type(problem), problem.code) == (PermissionRefused, "COMMAND-DENIED")
    assert "Get-V2xInventory" in problem.message


def test_an_endpoint_that_is_not_registered_is_named(hyperv: HyperV) -> None:
    problem = refusal(source(hyperv, settings={"configuration": "other"}))
    assert problem.code == "REMOTE-FAULT"
    assert "other" in problem.message
    assert "Get-PSSessionConfiguration" in problem.hint


def test_a_script_is_refused_by_an_endpoint_that_takes_names_only(hyperv: HyperV, monkeypatch: Any) -> None:
    access = host_access(
        "127.0.0.1",
        hyperv.nodes[0].https.port,
        "hvadmin",
        Secret(hyperv.password),
        Trust(fingerprint=hyperv.fingerprint),
        {"configuration": "v2x"},
    )
    with PowerShellSession(access) as session:
        monkeypatch.setattr(session, "access", HostAccess(host="127.0.0.1", user="hvadmin", trust=Trust()))
        with pytest.raises(PermissionRefused) as refused:
            session.run(COLLECT)
    assert refused.value.code == "COMMAND-DENIED"
    assert "--jea" in refused.value.hint


def test_an_error_that_ends_nothing_loses_nothing(hyperv: HyperV) -> None:
    hyperv.faults.arm("error_record", address="SomethingFailed,X")
    assert len(source(hyperv).inventory().machines) == 3


def test_access_denied_as_an_error_record_is_seen_though_had_errors_is_false(hyperv: HyperV) -> None:
    hyperv.faults.arm("error_record", address="AccessDenied,Microsoft.HyperV.PowerShell.Commands.GetVM")
    assert isinstance(refusal(source(hyperv)), PermissionRefused)


def test_what_ends_a_script_is_told_with_its_identifier(hyperv: HyperV) -> None:
    hyperv.faults.arm("script_ends", address="OutOfMemory,X")
    problem = refusal(source(hyperv))
    assert (type(problem), problem.code) == (SourceError, "REMOTE-SCRIPT")
    assert "Unerwarteter Fehler" in problem.message
    assert "OutOfMemory,X" in problem.message


@pytest.mark.parametrize("settings", [{}, HTTP], ids=["https", "http"])
def test_a_long_answer_of_many_scripts_arrives_whole(hyperv: HyperV, settings: dict[str, str]) -> None:
    hyperv.faults.arm("big_reply")
    found = source(hyperv, settings=settings).inventory()
    (padding,) = [one for one in found.problems if one.subject.endswith("padding")]
    assert len(padding.text.encode()) > 60_000
    assert "仮想マシン" in padding.text
    assert len(found.machines) == 3


def test_an_answer_that_takes_long_is_waited_for(hyperv: HyperV) -> None:
    hyperv.faults.arm("slow", at=4)
    assert len(source(hyperv).inventory().machines) == 3


def test_an_answer_that_never_comes_ends_at_its_deadline(hyperv: HyperV) -> None:
    hyperv.faults.arm("slow", at=10_000)
    clock = iter(range(0, 10_000, 30))
    access = host_access(
        "127.0.0.1",
        hyperv.nodes[0].https.port,
        "hvadmin",
        Secret(hyperv.password),
        Trust(fingerprint=hyperv.fingerprint),
        {},
    )
    with PowerShellSession(access, clock=lambda: float(next(clock))) as session, pytest.raises(SourceError) as late:
        session.run(COLLECT, deadline_seconds=60)
    assert late.value.code == "SOURCE-TIMEOUT"


@pytest.mark.parametrize("settings", [{}, HTTP], ids=["https", "http"])
def test_half_an_answer_is_none(hyperv: HyperV, settings: dict[str, str]) -> None:
    hyperv.faults.arm("half_closed")
    problem = refusal(source(hyperv, settings=settings))
    assert isinstance(problem, ConnectError)
    assert "lost" in problem.message


def test_an_answer_that_unfolds_to_gigabytes_is_refused_at_once(hyperv: HyperV) -> None:
    hyperv.faults.arm("entities")
    problem = refusal(source(hyperv))
    assert problem.code == "REMOTE-PROTOCOL"


def test_a_service_that_was_restarted_meanwhile(hyperv: HyperV) -> None:
    access = host_access(
        "127.0.0.1",
        hyperv.nodes[0].https.port,
        "hvadmin",
        Secret(hyperv.password),
        Trust(fingerprint=hyperv.fingerprint),
        {},
    )
    with PowerShellSession(access) as session:
        hyperv.faults.arm("lost_shells")
        with pytest.raises(SourceError) as lost:
            session.run(COLLECT)
    assert lost.value.code == "REMOTE-FAULT"


@pytest.mark.parametrize(("status", "text"), [(404, "no WinRM"), (503, "HTTP 503")])
def test_http_errors(hyperv: HyperV, status: int, text: str) -> None:
    hyperv.faults.arm("http_error", at=status)
    problem = refusal(source(hyperv))
    assert isinstance(problem, ConnectError)
    assert text in problem.message


def test_nothing_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for address in (f"hyperv://u@127.0.0.1:{port}",):
        problem = refusal(open_hyperv(parse_address(address), Secret("x")))
        assert isinstance(problem, ConnectError)
        assert "nothing listens" in problem.message


def test_no_such_host() -> None:
    problem = refusal(open_hyperv(parse_address("hyperv://u@nowhere.invalid"), Secret("x")))
    assert isinstance(problem, ConnectError)
    assert "no such host" in problem.message


def test_a_port_that_speaks_no_tls(hyperv: HyperV) -> None:
    address = parse_address(hyperv.http_address)
    problem = refusal(open_hyperv(address, Secret(hyperv.password), fingerprint="sha256:" + "00" * 32))
    assert isinstance(problem, ConnectError)
    assert "no TLS" in problem.message


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"auth": "digest"}, "not known"),
        ({"transport": "ftp"}, "neither https nor http"),
        ({"colour": "red"}, "no setting colour"),
        ({"auth": "certificate"}, "needs certificate"),
        ({"auth": "certificate", "certificate": "/no/where", "certificate_key": "/x"}, "is not a file"),
        ({"auth": "certificate", "transport": "http"}, "needs HTTPS"),
    ],
)
def test_settings_that_do_not_hold(settings: dict[str, str], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        open_hyperv(parse_address("hyperv://u@h"), Secret("x"), settings=settings)


def test_a_pin_without_tls_is_a_contradiction() -> None:
    with pytest.raises(UsageError, match="plain HTTP"):
        open_hyperv(parse_address("hyperv://u@h:5985"), Secret("x"), fingerprint="sha256:" + "00" * 32)


def test_kerberos_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    import v2x.sources.hyperv.login as login

    monkeypatch.setattr(login, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as refused:
        open_hyperv(parse_address("hyperv://u@h"), None, settings={"auth": "kerberos"})
    assert "v2x[kerberos]" in refused.value.hint


@pytest.mark.parametrize("module", ["krb5._exceptions", "gssapi.raw.misc"])
def test_what_kerberos_refuses_is_a_login_refused(module: str) -> None:
    from v2x.sources.hyperv.failures import translated

    kind = type("Krb5Error", (Exception,), {"__module__": module})
    problem = translated(kind("Decrypt integrity check failed"), host_access("h", None, "u", None, Trust(), {}))
    assert isinstance(problem, LoginError)
    assert "klist" in problem.hint


def test_a_refusal_without_code_or_reason_is_of_another_service() -> None:
    from pypsrp.exceptions import WSManFaultError

    from v2x.sources.hyperv.failures import translated

    fault = WSManFaultError(None, None, None, None, None, None)
    problem = translated(fault, host_access("vc", 5986, "u", None, Trust(), {}))
    assert (problem.code, problem.exit_code) == ("REMOTE-PROTOCOL", 5)
    assert "WinRM port" in problem.hint


def test_as_many_pins_as_hosts() -> None:
    with pytest.raises(UsageError, match="2 fingerprints are given for 3 hosts"):
        open_hyperv(parse_address("hyperv://u@a,b,c"), Secret("x"), fingerprint=",".join(["sha256:" + "00" * 32] * 2))


def test_a_password_is_shown_nowhere(hyperv: HyperV, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    opened = source(hyperv)
    opened.inventory()
    assert hyperv.password not in caplog.text
    assert hyperv.password not in repr(vars(opened)) + repr(vars(opened._hosts))
    assert hyperv.password not in "".join(repr(one) for one in hyperv.ledger.entries)


def test_disks_need_a_login_of_their_own_beside_a_certificate(hyperv: HyperV, tmp_path: Path) -> None:
    pem = str(certificate_of(tmp_path, "client"))
    settings = {"auth": "certificate", "certificate": pem, "certificate_key": pem}
    opened = open_hyperv(parse_address("hyperv://u@h"), None, ShareOptions(user="u"), settings=settings)
    assert opened._options is None


def test_the_minimum_of_tls_is_ours(hyperv: HyperV) -> None:
    from v2x.sources.hyperv.session import _connection

    access = host_access("127.0.0.1", 1, "u", Secret("x"), Trust(fingerprint="sha256:" + "00" * 32), {})
    adapter = _connection(access).transport.session.get_adapter("https://h")
    assert adapter.poolmanager.connection_pool_kw["ssl_context"].minimum_version == ssl.TLSVersion.TLSv1_2


def test_doctor_names_the_group_that_the_account_is_not_in(hyperv: HyperV) -> None:
    opened = source(hyperv)
    inventory = opened.inventory()
    (told,) = opened.diagnosis(inventory, None)
    assert told.ok and "--jea-power" in told.found
    poor = replace(inventory, source=replace(inventory.source, missing_privileges=("Hyper-V Administrators",)))
    (told,) = opened.diagnosis(poor, None)
    assert not told.ok and "Hyper-V Administrators" in told.found and "docs/privileges.md" in told.remedy
