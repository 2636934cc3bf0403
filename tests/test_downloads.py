"""Downloads from a server on this machine that breaks off, lies, changes its mind, or does not know ranges."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from convscope import downloads
from convscope.downloads import fetch
from convscope.errors import DownloadError

CONTENT = np.random.default_rng(0).bytes(300_000)
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()[:8]


class Server(ThreadingHTTPServer):
    """Serves CONTENT; what it does wrong is set from outside."""

    content, tag, ranges = CONTENT, '"one"', True
    break_after: list[int]  # how many bytes each of the next answers sends before it breaks off
    claims = 0  # by how many bytes Content-Length is wrong
    status = 200

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.break_after, self.asked, self.sent = [], [], 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/weights.bin"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, begin = self.server, 0
        server.asked.append(dict(self.headers))
        wanted = self.headers.get("Range")
        if server.status != 200:
            self.send_error(server.status)
            return
        if wanted and server.ranges and self.headers.get("If-Range", server.tag) == server.tag:
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if begin >= len(server.content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(server.content) - 1}/{len(server.content)}")
        else:
            self.send_response(200)
        body = server.content[begin:]
        self.send_header("Content-Length", str(len(body) + server.claims))
        if server.tag:
            self.send_header("ETag", server.tag)
        self.end_headers()
        body = body[: server.break_after.pop(0)] if server.break_after else body
        server.sent += len(body)
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "weights.bin"


def nothing_half_written(path):
    return [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("digest", [DIGEST, None, "md5:" + hashlib.md5(CONTENT).hexdigest()])
def test_a_file_arrives(server, path, digest):
    seen = []
    assert fetch(server.url, path, digest=digest, progress=lambda *numbers: seen.append(numbers)) == path
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert nothing_half_written(path)


@pytest.mark.parametrize("digest", [DIGEST, None])
def test_it_goes_on_where_it_broke_off(server, path, digest):
    server.break_after = [100_000, 50_000, 1]
    fetch(server.url, path, digest=digest)
    assert path.read_bytes() == CONTENT
    assert server.sent == len(CONTENT)  # no byte twice
    assert [each.get("Range") for each in server.asked] == [None, "bytes=100000-", "bytes=150000-", "bytes=150001-"]
    assert nothing_half_written(path)


def test_it_goes_on_in_a_later_call(server, path):
    server.break_after = [100_000, 0, 0]
    with pytest.raises(DownloadError, match="goes on from there.*weights.bin") as caught:
        fetch(server.url, path, attempts=2)
    assert caught.value.path == str(path)
    assert not path.exists()
    fetch(server.url, path)
    assert path.read_bytes() == CONTENT
    assert server.sent == len(CONTENT)


@pytest.mark.parametrize("digest", [DIGEST, None])
def test_a_server_without_ranges_sends_it_again(server, path, digest):
    server.ranges, server.break_after = False, [100_000]
    fetch(server.url, path, digest=digest)
    assert path.read_bytes() == CONTENT


def test_without_a_digest_or_a_tag_it_begins_again(server, path):
    """Nothing says that the rest would be of the same file."""
    server.tag, server.break_after = None, [100_000]
    fetch(server.url, path)
    assert path.read_bytes() == CONTENT
    assert [each.get("Range") for each in server.asked] == [None, None]


def test_a_file_that_has_changed_meanwhile_is_not_mixed(server, path):
    server.break_after = [100_000, 0]
    with pytest.raises(DownloadError):
        fetch(server.url, path, attempts=1)
    server.content, server.tag = CONTENT[::-1], '"two"'
    fetch(server.url, path)
    assert path.read_bytes() == CONTENT[::-1]


def test_wrong_bytes_are_thrown_away(server, path):
    server.content = CONTENT[:-1] + b"!"
    path.parent.mkdir()
    path.write_bytes(b"an earlier file")
    with pytest.raises(DownloadError, match="another file"):
        fetch(server.url, path, digest=DIGEST)
    assert path.read_bytes() == b"an earlier file"
    assert nothing_half_written(path)


@pytest.mark.parametrize("claims", [5000, -5000])
def test_a_server_that_lies_about_the_length(server, path, claims):
    """More than there is looks like a break; less is noticed by the digest."""
    server.claims = claims
    if claims > 0:
        fetch(server.url, path, digest=DIGEST)  # asked for the rest it answers 416, and the digest is right
        assert path.read_bytes() == CONTENT
    else:
        with pytest.raises(DownloadError, match="another file"):
            fetch(server.url, path, digest=DIGEST)
        assert not path.exists()


def test_a_longer_length_without_a_digest_is_given_up(server, path):
    server.claims = 5000
    with pytest.raises(DownloadError, match="less of it|broke off"):
        fetch(server.url, path, attempts=2)
    assert not path.exists()


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (403, 1), (503, 3)])
def test_what_the_server_refuses(server, path, status, asked):
    server.status = status
    with pytest.raises(DownloadError, match=str(status)):
        fetch(server.url, path, attempts=3)
    assert len(server.asked) == asked  # only what may pass is tried again


def test_no_server_at_all(path, monkeypatch):
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    with pytest.raises(DownloadError, match="no connection.*put that file at"):
        fetch("http://127.0.0.1:9/weights.bin", path, attempts=2)


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(DownloadError, match=r"cache.*weights.bin"):
        fetch(server.url, tmp_path / "cache" / "weights.bin")
