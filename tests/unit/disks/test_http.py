# SPDX-License-Identifier: Apache-2.0
import random
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.ranges import Ranges, once, serving, times
from v2x.disks.http import HttpSource, HttpStream, parallel_requests
from v2x.disks.http_origin import HttpOrigin, Passing, SessionCookie
from v2x.errors import BadImage, InputRefused, LoginError, PermissionRefused, SourceError, TrustError, UsageError

CONTENT = random.Random(5).randbytes(1_500_000)
PATH = "/folder/web%2001/disk-flat.vmdk?dcPath=a%2Fb&dsName=ssd"


@pytest.fixture
def server(tmp_path):
    with serving(tmp_path) as state:
        state.files[PATH] = CONTENT
        yield state


def origin(server: Ranges, **options) -> HttpOrigin:
    options = {"tls": server.client_context(), "sleep": lambda _: None, "timeout": 5, **options}
    return HttpOrigin(host=server.host, port=server.port, **options)


def opened(server: Ranges, **options) -> HttpSource:
    return HttpSource.open(origin(server, **options), PATH, "disk-flat.vmdk")


def read(source, offset, length):
    buffer = bytearray(length)
    source.read_into(offset, buffer)
    return bytes(buffer)


def test_reads_ranges_small_and_large_at_any_place(server):
    source = opened(server)
    assert source.size == len(CONTENT)
    for offset, length in ((0, 10), (65530, 20), (1_400_000, 100_000), (0, len(CONTENT)), (len(CONTENT) - 1, 1)):
        assert read(source, offset, length) == CONTENT[offset : offset + length]
    assert list(source.extents(5, 7)) == [(5, 7, True)]


def test_small_reads_share_pages_between_clones(server):
    source = opened(server)
    for at in range(0, 60_000, 512):
        assert read(source.clone(), at, 512) == CONTENT[at : at + 512]
    assert len(server.requests) == 1


def test_reading_beyond_the_end_is_refused_without_asking(server):
    source = opened(server)
    with pytest.raises(BadImage):
        read(source, len(CONTENT) - 5, 6)
    assert len(server.requests) == 1


def test_one_connection_serves_many_requests(server):
    source = opened(server)
    for at in range(0, 1_400_000, 100_000):
        read(source, at, 70_000)
    assert server.connections == 1


def test_several_threads_use_several_connections_and_no_more_than_allowed(server):
    server.delay = 0.02
    source = opened(server, connections=4)
    with ThreadPoolExecutor(8) as pool:
        pieces = list(pool.map(lambda at: read(source.clone(), at, 70_000), range(0, 1_400_000, 70_000)))
    assert b"".join(pieces) == CONTENT[:1_400_000]
    assert 2 <= server.connections <= 4
    assert server.most_at_once <= 4


def test_more_requests_at_once_the_longer_they_take():
    near, far, farther = (HttpOrigin(host="h", tls=None) for _ in range(3))
    near._took(0.0005)
    far._took(0.050)
    farther._took(5.0)
    assert parallel_requests(near, 2 << 20) == 4
    assert parallel_requests(far, 2 << 20) == 10
    assert parallel_requests(farther, 2 << 20) == farther.connections
    assert parallel_requests(HttpOrigin(host="h", tls=None, connections=2), 2 << 20) == 2


@pytest.mark.parametrize("content", [b"", b"x", b"# Disk DescriptorFile\n", b"y" * 65536, b"z" * 65537])
@pytest.mark.parametrize("ranges", [True, False])
def test_small_files_and_servers_without_ranges(server, content, ranges):
    server.files[PATH], server.ranges = content, ranges
    if not ranges and len(content) > 65536:
        with pytest.raises(SourceError, match="does not answer ranges") as refused:
            opened(server)
        assert refused.value.code == "HTTP-ANSWER"
        return
    source = opened(server)
    assert source.size == len(content)
    assert read(source, 0, len(content)) == content


def test_a_cut_body_is_continued_where_it_broke(server):
    source = opened(server)
    server.requests.clear()
    server.faults.append(
        once(lambda handler, start, end: handler.reply(
            206, CONTENT[start : end + 1], {"Content-Range": f"bytes {start}-{end}/{len(CONTENT)}"}, send=300_000
        ) or True)
    )  # fmt: skip
    assert read(source, 100_000, 1_000_000) == CONTENT[100_000:1_100_000]
    assert [asked for _, asked, _ in server.requests] == ["bytes=100000-1099999", "bytes=400000-1099999"]


def test_a_server_may_answer_less_than_it_was_asked_for(server):
    source = opened(server)
    server.faults.append(
        times(3, lambda handler, start, end: handler.part(CONTENT[start : start + 999], start, len(CONTENT)) or True)
    )
    assert read(source, 7, 200_000) == CONTENT[7:200_007]


def test_it_gives_up_after_attempts_without_progress_only(server):
    source = opened(server, attempts=3)
    waits: list[float] = []
    source._file.origin.sleep = waits.append

    def cut(handler, start, end):
        told = {"Content-Range": f"bytes {start}-{end}/{len(CONTENT)}"}
        handler.reply(206, CONTENT[start : end + 1], told, send=100_000)
        return True

    server.faults.append(times(9, cut))
    assert read(source, 0, 1_200_000) == CONTENT[:1_200_000]
    assert len(waits) == 9
    server.faults.append(lambda handler, start, end: handler.plain(503, {"Retry-After": "7"}) or True)
    waits.clear()
    with pytest.raises(Passing, match="503"):
        read(source, 0, 100_000)
    assert waits == [7, 7]


def test_a_kept_connection_that_the_server_closed_is_replaced_at_once(server):
    source = opened(server, attempts=1)
    server.faults.append(once(lambda handler, start, end: setattr(handler, "close_connection", True) or False))
    read(source, 0, 100_000)
    assert read(source, 0, 100_000) == CONTENT[:100_000]


LATER = "Thu, 01 Jan 2026 00:00:00 GMT"


def told(handler, start, end, text, body=None):
    body = CONTENT[start : end + 1] if body is None else body
    handler.reply(206, body, {"Content-Range": text.format(s=start, e=end, n=len(CONTENT))})


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (lambda h, s, e: h.part(CONTENT[s : e + 2], s, len(CONTENT)), "HTTP-ANSWER"),
        (lambda h, s, e: h.part(CONTENT[s : e + 1], s + 1, len(CONTENT)), "HTTP-ANSWER"),
        (lambda h, s, e: told(h, s, e, "bytes"), "HTTP-ANSWER"),
        (lambda h, s, e: told(h, s, e, "bytes {s}-{e}/*"), "HTTP-ANSWER"),
        (lambda h, s, e: told(h, s, e, "bytes {s}-{e}/{n}", CONTENT[s : e + 5]), "HTTP-ANSWER"),
        (lambda h, s, e: h.reply(200, CONTENT), "HTTP-ANSWER"),
        (lambda h, s, e: h.part(CONTENT[s : e + 1], s, len(CONTENT) + 512), "SOURCE-CHANGED"),
        (lambda h, s, e: h.plain(416, {"Content-Range": "bytes */10"}), "SOURCE-CHANGED"),
        (lambda h, s, e: h.part(CONTENT[s : e + 1], s, len(CONTENT), ETag='"2"'), "SOURCE-CHANGED"),
        (lambda h, s, e: h.part(CONTENT[s : e + 1], s, len(CONTENT), **{"Last-Modified": LATER}), "SOURCE-CHANGED"),
        (lambda h, s, e: h.plain(418), "HTTP"),
    ],
)
def test_wrong_answers_are_refused_and_not_tried_again(server, fault, code):
    server.headers = {"ETag": '"1"', "Last-Modified": "Wed, 31 Dec 2025 00:00:00 GMT"}
    source = opened(server)
    server.requests.clear()
    server.faults.append(lambda h, s, e: fault(h, s, e) or True)
    with pytest.raises(SourceError) as refused:
        read(source, 70_000, 100_000)
    assert refused.value.code == code
    assert len(server.requests) == 1


def test_an_over_long_answer_without_length_is_refused(server):
    source = opened(server)

    def chunked(handler, start, end):
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{end}/{len(CONTENT)}")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        body = CONTENT[start : end + 2]
        handler.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
        return True

    server.faults.append(chunked)
    with pytest.raises(SourceError, match="more than was asked for"):
        read(source, 0, 100_000)


def test_the_cookie_is_renewed_before_it_is_old_and_when_it_is_refused(server):
    now, given = [0.0], []

    def obtain(stale: str) -> str:
        given.append(stale)
        fresh = f"vmware_soap_session=s{len(given)}"
        server.cookies = {fresh}
        return fresh

    source = opened(server, cookie=SessionCookie(obtain, clock=lambda: now[0]))
    read(source, 0, 100_000)
    assert given == [""]
    now[0] = 25 * 60.0
    read(source, 0, 100_000)
    assert given[1:] == ["vmware_soap_session=s1"]
    server.cookies = {"vmware_soap_session=other"}
    read(source, 0, 100_000)
    assert given[2:] == ["vmware_soap_session=s2"]


def test_threads_that_are_refused_together_renew_once(server):
    given = []
    lock = threading.Lock()

    def obtain(stale: str) -> str:
        with lock:
            given.append(stale)
        server.cookies = {f"c=s{len(given)}"}
        return f"c=s{len(given)}"

    source = opened(server, cookie=SessionCookie(obtain))
    server.cookies, server.delay = {"c=gone"}, 0.05
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda at: read(source.clone(), at, 70_000), range(0, 280_000, 70_000)))
    assert len(given) == 2


@pytest.mark.parametrize(("status", "kind", "logins"), [(401, LoginError, 3), (403, PermissionRefused, 2)])
def test_a_session_that_stays_refused_is_an_error_soon(server, status, kind, logins):
    given = []
    cookie = SessionCookie(lambda stale: given.append(stale) or f"c={len(given)}")
    server.faults.append(lambda handler, start, end: handler.plain(status) or True)
    with pytest.raises(kind, match=r"disk-flat\.vmdk"):
        opened(server, cookie=cookie)
    assert len(given) == logins


def test_a_missing_file_is_named(server):
    with pytest.raises(InputRefused, match=r"gone\.vmdk is not there") as refused:
        HttpSource.open(origin(server), "/folder/gone.vmdk", "gone.vmdk")
    assert refused.value.code == "MISSING-FILE"


def test_redirections_stay_on_the_server(server):
    server.files["/moved"] = CONTENT
    server.faults.append(once(lambda handler, start, end: handler.plain(302, {"Location": "/moved"}) or True))
    assert opened(server).size == len(CONTENT)


@pytest.mark.parametrize(
    "place", ["https://example.org/x", "http://127.0.0.1/x", "//example.org/x", "file:///etc/passwd", "", "relative"]
)
def test_redirections_elsewhere_are_refused_and_no_cookie_follows(server, place):
    server.faults.append(lambda handler, start, end: handler.plain(307, {"Location": place}) or True)
    with pytest.raises(TrustError, match="elsewhere") as refused:
        opened(server, cookie=SessionCookie(lambda stale: "c=secret"))
    assert refused.value.code == "REDIRECTED"
    assert "secret" not in str(refused.value)


def test_endless_redirections_end(server):
    server.faults.append(lambda handler, start, end: handler.plain(302, {"Location": PATH}) or True)
    with pytest.raises(SourceError, match="302"):
        opened(server)


def test_an_untrusted_certificate_is_refused_before_the_cookie_is_sent(server, tmp_path):
    with serving(tmp_path / "other") as other, pytest.raises(TrustError):
        opened(server, tls=other.client_context(), cookie=SessionCookie(lambda stale: "c=secret"))
    assert server.requests == []


def test_a_context_that_checks_pins_decides_on_the_connection_itself(server):
    class Pinned(ssl.SSLContext):
        def wrap_socket(self, *arguments, **options):
            super().wrap_socket(*arguments, **options).close()
            raise TrustError("another certificate than the pinned one")

    context = Pinned(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(TrustError, match="pinned"):
        opened(server, tls=context)
    assert server.requests == []


def test_proxies_of_the_environment_are_ignored(server, monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert opened(server).size == len(CONTENT)


def test_a_given_proxy_is_asked_for_a_tunnel(server, tmp_path):
    with serving(tmp_path / "proxy", tls=False) as proxy, pytest.raises(Passing, match="Tunnel connection failed: 501"):
        opened(server, proxy=f"http://{proxy.host}:{proxy.port}", attempts=1)
    assert server.requests == []


@pytest.mark.parametrize("text", ["https://p:1", "http://", "http://user@p:1", "p:999999"])
def test_what_is_no_proxy_is_refused(text):
    with pytest.raises(UsageError, match="is no proxy"):
        HttpOrigin(host="h", tls=None, proxy=text)


def test_a_server_that_is_not_there_is_told_after_attempts(tmp_path):
    with serving(tmp_path) as gone:
        pass
    waits = []
    with pytest.raises(Passing, match="failed") as refused:
        HttpSource.open(
            HttpOrigin(host="127.0.0.1", port=gone.port, tls=None, attempts=3, sleep=waits.append), "/", "x"
        )
    assert len(waits) == 2
    assert refused.value.exit_code == 4


def test_a_stream_flows_to_its_end(server):
    stream = HttpStream(origin(server), PATH, "disk.vmdk")
    got, buffer = bytearray(), bytearray(70_000)
    while count := stream.read_into(memoryview(buffer)):
        got += buffer[:count]
    stream.close()
    assert got == CONTENT


def test_a_stream_that_breaks_says_so(server):
    server.faults.append(lambda handler, start, end: handler.reply(200, CONTENT, send=1000) or True)
    stream = HttpStream(origin(server), PATH, "disk.vmdk")
    with pytest.raises(Passing):
        while stream.read_into(memoryview(bytearray(70_000))):
            pass
    stream.close()


def test_closed_origins_hold_no_connections(server):
    source = opened(server)
    source._file.origin.close()
    source.close()
    with pytest.raises(ValueError, match="closed"):
        read(source, 70_000, 100_000)
