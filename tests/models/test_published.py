"""Fetching weights from a server on loopback that misbehaves as servers do."""

import hashlib
import http.server
import re
import runpy
import socket
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from saljax import models
from saljax.models import published
from saljax.models.from_torchvision import source_shapes
from saljax.models.published import PUBLISHED, Published, fetch

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
CONTENT = np.random.default_rng(0).bytes(700_000)  # more than one chunk


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `CONTENT`; the first part of the path says how well."""

    def do_GET(self):
        kind, start = self.path.split("/")[1], 0
        asked = self.headers["Range"]
        self.server.asked.append(asked)
        content = self.server.content
        if kind == "owner":
            self.server.asked[-1] = self.path
            if "/repository/resolve/main/" not in self.path:
                return self.send_error(404)
        if kind == "missing":
            return self.send_error(404)
        if asked and kind != "whole":
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        if kind != "unannounced":
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + 300_000 if kind == "short" else None])
        return None

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as serving:
        serving.content, serving.asked = CONTENT, []
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def source(server, kind, content=CONTENT, file="w.bin"):
    url = f"http://127.0.0.1:{server.server_port}/{kind}/{file}"
    return Published(url, hashlib.sha256(content).hexdigest()[:8])


def one_line(caught):
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    return str(caught.value)


def test_fetched_once_with_progress(server, tmp_path):
    seen = []
    for _ in range(2):
        path = fetch(source(server, "well"), tmp_path / "new", lambda *now: seen.append(now))
    assert path == tmp_path / "new" / "w.bin" and path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["w.bin"] and server.asked == [None]
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and len(seen) > 1
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_server_that_does_not_say_how_much_there_is(server, tmp_path):
    seen = []
    path = fetch(source(server, "unannounced"), tmp_path, lambda *now: seen.append(now))
    assert path.read_bytes() == CONTENT and seen[-1] == (len(CONTENT), None)


def test_broken_transfer_goes_on_where_it_ended(server, tmp_path):
    with pytest.raises(OSError, match=r"broke off after 300000 of 700000 bytes; try again") as why:
        fetch(source(server, "short"), tmp_path)
    one_line(why)
    assert [(p.name, p.stat().st_size) for p in tmp_path.iterdir()] == [(".w.bin.part", 300_000)]
    with pytest.raises(OSError, match=r"broke off after 600000 of 700000 bytes"):
        fetch(source(server, "short"), tmp_path)
    assert fetch(source(server, "short"), tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=600000-"]
    assert [p.name for p in tmp_path.iterdir()] == ["w.bin"]


def test_interrupted_by_the_user_goes_on(server, tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(source(server, "well"), tmp_path, stop)
    assert fetch(source(server, "well"), tmp_path).read_bytes() == CONTENT
    assert server.asked[1] is not None


def test_server_that_cannot_go_on_starts_anew(server, tmp_path):
    (tmp_path / ".w.bin.part").write_bytes(b"other")
    assert fetch(source(server, "whole"), tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=5-"]


@pytest.mark.parametrize("there", [b"", b"wrong", CONTENT + b"more"])
def test_wrong_hash_leaves_nothing(server, tmp_path, there):
    """Another file is served than the one published; or something else was there before."""
    (tmp_path / ".w.bin.part").write_bytes(there)
    wanted = source(server, "well", CONTENT if there else b"published")
    with pytest.raises(ValueError, match=rf"SHA-256 \w{{8}} instead of {wanted.sha256}") as why:
        fetch(wanted, tmp_path)
    one_line(why)
    assert list(tmp_path.iterdir()) == []


def test_missing_file(server, tmp_path):
    with pytest.raises(OSError, match=r"w\.bin: the server answers 404 Not Found") as why:
        fetch(source(server, "missing"), tmp_path)
    one_line(why)


def test_no_network(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/w.bin"  # bound, but nobody listens
        with pytest.raises(OSError, match=r"cannot be reached .*give the file as weights=") as why:
            fetch(Published(url, ""), tmp_path)
    one_line(why)
    with pytest.raises(OSError, match=r"cannot be reached") as why:
        fetch(Published("http://nowhere.invalid/w.bin", ""), tmp_path)
    one_line(why)


def test_published_weights_load_by_name(server, tmp_path, monkeypatch):
    shapes = source_shapes("squeezenet1_1", num_classes=7)
    server.content = save({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    here = source(server, "well", server.content, "squeeze.safetensors")
    monkeypatch.setitem(PUBLISHED, "squeezenet1_1", {"imagenet1k_v1": here})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    seen = []
    score_fn = models.load("squeezenet1_1", "IMAGENET1K_V1", lambda *now: seen.append(now))
    assert score_fn.conv10.bias.shape == (7,) and seen[-1][0] == len(server.content)
    path = models.weights_file("squeezenet1_1", "imagenet1k_v1")
    assert path == tmp_path / "saljax" / "weights" / "squeeze.safetensors"
    assert len(server.asked) == 1


@pytest.fixture
def hub(server, tmp_path, monkeypatch):
    """A server that is the Hub, with one repository, owner/repository."""
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return server


def test_weights_of_the_hub_are_fetched_once_and_their_hash_is_kept(hub, tmp_path):
    seen = []
    for _ in range(2):
        path = published.fetch_from_hub("hf:owner/repository", lambda *now: seen.append(now))
    folder = tmp_path / "saljax" / "weights" / "hub" / "owner" / "repository"
    assert path == folder / "model.safetensors" and path.read_bytes() == CONTENT
    assert hub.asked == ["/owner/repository/resolve/main/model.safetensors"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    kept = folder / "model.safetensors.sha256"
    assert kept.read_text().strip() == hashlib.sha256(CONTENT).hexdigest()
    assert {p.name for p in folder.iterdir()} == {path.name, kept.name}


def test_weights_of_the_hub_that_differ_later_are_told(hub, tmp_path):
    path = published.fetch_from_hub("hf:owner/repository")
    path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"is not what was fetched \(SHA-256 \w{8} instead") as why:
        published.fetch_from_hub("hf:owner/repository")
    assert "\n" not in str(why.value)
    path.unlink()
    hub.content = b"others"
    with pytest.raises(ValueError, match=r"hf:owner/repository: there is another file now") as why:
        published.fetch_from_hub("hf:owner/repository")
    assert "\n" not in str(why.value)
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors.sha256"]
    hub.content = CONTENT
    assert published.fetch_from_hub("hf:owner/repository").read_bytes() == CONTENT


def test_what_the_hub_does_not_have(hub, monkeypatch):
    with pytest.raises(OSError, match=r"404 Not Found; is it a public repository with a") as why:
        published.fetch_from_hub("hf:owner/other")
    one_line(why)
    for wrong in ("hf:owner", "hf:a/b/c", "hf:", "hf:../b"):
        with pytest.raises(ValueError, match="weights on the Hub are hf:OWNER/NAME"):
            models.weights_file("resnet18", wrong)
    monkeypatch.delenv("HF_ENDPOINT")
    monkeypatch.setattr(published, "_fetched", lambda url, *rest: pytest.fail(url))
    with pytest.raises(pytest.fail.Exception, match=r"https://huggingface\.co/o/n/resolve/main/"):
        published.fetch_from_hub("hf:o/n")


def test_weights_of_the_hub_load_by_name(hub):
    shapes = source_shapes("squeezenet1_1", num_classes=7)
    hub.content = save({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    score_fn = models.load("squeezenet1_1", Path("hf:owner/repository"))
    assert score_fn.conv10.bias.shape == (7,)


def test_names_of_published_weights():
    assert models.info("resnet50").published == ("imagenet1k_v1", "imagenet1k_v2")
    assert models.info("birdlets").published == ()
    for versions in PUBLISHED.values():
        for url, sha256 in versions.values():
            assert re.fullmatch(r"https://download\.pytorch\.org/models/[\w-]+\.pth", url)
            assert re.fullmatch(r"[0-9a-f]{8}", sha256)
    with pytest.raises(ValueError, match=r"or 'imagenet1k_v1' to download") as why:
        models.load("vgg16")
    one_line(why)
    with pytest.raises(
        ValueError, match=r"imagenet: no such weights; .* 'imagenet1k_v1' to"
    ) as why:
        models.load("vgg16", "imagenet")
    one_line(why)


def test_live_urls_are_torchvisions():
    pytest.importorskip("torch")
    torchvision = runpy.run_path(EXPERIMENTS / "torchvision_logits.py")["import_torchvision"]()
    for name, versions in PUBLISHED.items():
        theirs = torchvision.models.get_model_weights(name).__members__
        ours = {version.upper(): source.url for version, source in versions.items()}
        assert ours == {version: theirs[version].url for version in ours}


@pytest.mark.parametrize(
    ("platform", "environment", "folder"),
    [
        ("linux", {}, "home/.cache/saljax/weights"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/saljax/weights"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache/saljax/weights"),
        ("darwin", {}, "home/Library/Caches/saljax/weights"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/saljax/weights"),
    ],
)
def test_cache(platform, environment, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(published.Path, "home", lambda: tmp_path / "home")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert published.cache() == tmp_path / folder
    assert published.cache("programs") == (tmp_path / folder).with_name("programs")
