"""Weights that others publish: where they lie, and fetching them once into the user's cache."""

import hashlib
import http.client
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

Progress = Callable[[int, int | None], None]
"""Called with the bytes there are, and those there will be (None if the server does not say)."""

TIMEOUT = 30.0
"""Seconds without an answer after which a server counts as gone; our choice."""

_CHUNK = 1 << 18


class Published(NamedTuple):
    """Where a file of weights lies, and the first digits of its SHA-256."""

    url: str
    sha256: str


def _torchvision(file: str) -> Published:
    """Torchvision writes the first eight digits of the SHA-256 into the name of the file."""
    digits = file.removesuffix(".pth").rsplit("-", 1)[1]
    return Published(f"https://download.pytorch.org/models/{file}", digits)


def _versions(*files: str) -> dict[str, Published]:
    return {f"imagenet1k_v{n}": _torchvision(file) for n, file in enumerate(files, start=1)}


PUBLISHED = {
    "resnet18": _versions("resnet18-f37072fd.pth"),
    "resnet34": _versions("resnet34-b627a593.pth"),
    "resnet50": _versions("resnet50-0676ba61.pth", "resnet50-11ad3fa6.pth"),
    "resnet101": _versions("resnet101-63fe2227.pth", "resnet101-cd907fc2.pth"),
    "alexnet": _versions("alexnet-owt-7be5be79.pth"),
    "vgg16": _versions("vgg16-397923af.pth"),
    "vgg19": _versions("vgg19-dcbb9e9d.pth"),
    "squeezenet1_0": _versions("squeezenet1_0-b66bff10.pth"),
    "squeezenet1_1": _versions("squeezenet1_1-b8a52dc0.pth"),
    "googlenet": _versions("googlenet-1378be20.pth"),
    "inception_v3": _versions("inception_v3_google-0cc3c7bd.pth"),
    "mobilenet_v2": _versions("mobilenet_v2-b0353104.pth", "mobilenet_v2-7ebf99e0.pth"),
    "convnext_tiny": _versions("convnext_tiny-983f1562.pth"),
    "convnext_small": _versions("convnext_small-0c510722.pth"),
    "convnext_base": _versions("convnext_base-6075fbad.pth"),
    "vit_b_16": _versions("vit_b_16-c867db91.pth"),
}
"""Classifier -> name of weights, as torchvision names them -> file. Source: torchvision 0.28.0.

Version 2 was measured there on pictures of short side 232 and not 256.
"""


def cache(kind: str = "weights") -> Path:
    """Return the folder of weights, or of something else, in the user's cache; it need not exist.

    `$XDG_CACHE_HOME/saljax/KIND` where that variable holds an absolute path; else in
    `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows and `~/.cache` elsewhere.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():
        return given / "saljax" / kind
    home = Path.home()
    if sys.platform == "darwin":
        base = home / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
    else:
        base = home / ".cache"
    return base / "saljax" / kind


def fetch(source: Published, folder: str | os.PathLike, progress: Progress | None = None) -> Path:
    """Fetch a file once.

    What an interrupted transfer brought stays under a hidden name and is gone on from by the next
    call. Two processes that fetch one file at once spoil each other's; the hash finds that out.

    Args:
        source: where the file lies, and the first digits of its SHA-256.
        folder: where to; made if it is not there.
        progress: called with the bytes there are and the bytes there will be.

    Returns:
        The path of the file, whose hash was right when it was fetched.

    Raises:
        OSError: the server cannot be reached, has no such file or broke off; or the folder cannot
            be written.
        ValueError: the hash is wrong. What came is thrown away.
    """
    target = Path(folder) / source.url.rsplit("/", 1)[1]
    if target.exists():
        return target
    part, digest = _fetched(source.url, target, progress)
    if not digest.startswith(source.sha256):
        part.unlink()
        raise ValueError(
            f"{source.url}: SHA-256 {digest[: len(source.sha256)]} instead of {source.sha256}; "
            "the transfer was damaged or the file is another: try again"
        )
    part.replace(target)
    return target


HUB = "https://huggingface.co"
"""The Hub, where the environment variable HF_ENDPOINT names no other."""

_HUB_NAME = re.compile(r"hf:(?P<owner>\w[\w.-]*)/(?P<name>\w[\w.-]*)")


def fetch_from_hub(name: str, progress: Progress | None = None) -> Path:
    """Fetch the weights of a repository on the Hub once, into the user's cache.

    Nobody says beforehand what their SHA-256 is: that of the first transfer is kept beside them,
    and what comes or lies there later must have the same.

    Args:
        name: `hf:OWNER/NAME`, a public repository with a `model.safetensors` on its main branch.
        progress: as of `fetch`.

    Returns:
        The path of the file.

    Raises:
        OSError: as of `fetch`.
        ValueError: the name is none; or the file is another than the one fetched first.
    """
    known = _HUB_NAME.fullmatch(name)
    if known is None:
        raise ValueError(f"{name}: weights on the Hub are hf:OWNER/NAME")
    owner, repository = known["owner"], known["name"]
    endpoint = (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    url = f"{endpoint}/{owner}/{repository}/resolve/main/model.safetensors"
    target = cache() / "hub" / owner / repository / "model.safetensors"
    kept = target.with_name(f"{target.name}.sha256")
    there = target.exists()
    try:
        file, digest = (target, _digest(target)) if there else _fetched(url, target, progress)
    except OSError as error:
        more = "; is it a public repository with a model.safetensors?"
        raise OSError(f"{error}{more if ' answers 4' in str(error) else ''}") from None
    first = kept.read_text().strip() if kept.exists() else digest
    if digest != first:
        differ = f"(SHA-256 {digest[:8]} instead of {first[:8]})"
        if there:
            raise ValueError(f"{name}: {target} is not what was fetched {differ}; remove it")
        file.unlink()
        raise ValueError(f"{name}: there is another file now {differ}; to take it, remove {kept}")
    kept.write_text(f"{digest}\n")
    return file if there else file.replace(target)


def _fetched(url: str, target: Path, progress: Progress | None) -> tuple[Path, str]:
    """Fetch a file under a hidden name beside its target; return that and its SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    _transfer(url, part, progress)
    return part, _digest(part)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _transfer(url: str, part: Path, progress: Progress | None) -> None:
    """Append to `part` what it lacks, or fill it anew where the server cannot go on."""
    there = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if there and error.code == 416:  # all there is, and more: the hash will tell
            return
        raise OSError(f"{url}: the server answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise OSError(f"{url}: {_no_answer(error)}") from None
    with response, part.open("ab" if response.status == 206 else "wb") as file:
        length, done = response.headers.get("Content-Length"), file.tell()
        total = None if length is None else done + int(length)
        try:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
        except http.client.HTTPException:
            pass  # it broke off, which the count tells as well
        except (TimeoutError, ConnectionError) as error:
            raise OSError(f"{url}: broke off ({error}); {_AGAIN}") from None
    if total is not None and done < total:
        raise OSError(f"{url}: broke off after {done} of {total} bytes; {_AGAIN}")


_AGAIN = "try again, and it goes on from there"


def _no_answer(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return (
        f"cannot be reached ({reason}); fetch it where there is a network, and give the file as "
        "weights="
    )
