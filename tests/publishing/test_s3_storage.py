"""Publish to and fetch from a real server that speaks S3 and checks signatures."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import free_port, wait_until
from tests.publishing.published import Done, all_bytes, corpus_index

RCLONE = shutil.which("rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
WHERE = "s3://indexes/handbook/prod"

pytestmark = pytest.mark.skipif(RCLONE is None, reason="rclone, of requirements-dev.txt, is not here")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables that name a store with one empty bucket."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "indexes").mkdir()
    address = f"127.0.0.1:{free_port()}"
    command = [str(RCLONE), "serve", "s3", "--addr", address, "--auth-key", "rag512key,rag512secret", str(folder)]
    env = {**os.environ, "RCLONE_CONFIG": str(folder.parent / "none.conf")}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        url = f"http://{address}"
        try:
            wait_until(lambda: is_up(url), "the store")
            yield {
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": "rag512key",
                "AWS_SECRET_ACCESS_KEY": "rag512secret",
                "AWS_REGION": "auto",
            }
        finally:
            process.terminate()


def is_up(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code > 0
    except requests.ConnectionError:
        return False


def test_index_goes_to_the_store_and_comes_back(
    store: dict[str, str], run: Callable[..., Done], tmp_path: Path
) -> None:
    """With the lines that `publish` prints; publishing again prints the same; a part that is here is gone on with."""
    published = run("publish", WHERE, **store, INDEX_DIR=str(corpus_index()))
    assert (published.code, published.err) == (0, "")
    assert run("publish", WHERE, **store, INDEX_DIR=str(corpus_index())) == published
    lines = dict(line.split("=", 1) for line in published.out.splitlines())
    assert lines["INDEX_URL"].startswith(f"{WHERE}/index-")
    assert run("fetch", **store, INDEX_URL=lines["INDEX_URL"]).code == 0
    assert all_bytes(tmp_path / "data" / "index") == all_bytes(corpus_index())
    shutil.rmtree(tmp_path / "data" / "index")
    part = tmp_path / "data" / f".fetched-{lines['INDEX_SHA256'][:16]}"
    done = run("publish", str(tmp_path / "copy"), INDEX_DIR=str(corpus_index()))
    whole = Path(done.out.splitlines()[0].removeprefix("INDEX_URL=")).read_bytes()
    part.write_bytes(whole[:100_000])
    assert run("fetch", **store, **lines).code == 0
    assert all_bytes(tmp_path / "data" / "index") == all_bytes(corpus_index())


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, WHERE),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, WHERE),
        ({}, "s3://no-such-bucket"),
    ],
)
def test_store_that_refuses_is_one_line(
    change: dict[str, str], where: str, store: dict[str, str], run: Callable[..., Done]
) -> None:
    """Both ways; no key is in it."""
    name = "index-0123456789abcdef.tar.gz"
    for done in (
        run("publish", where, **{**store, **change}, INDEX_DIR=str(corpus_index())),
        run("fetch", **{**store, **change}, INDEX_URL=f"{where}/{name}"),
    ):
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert "cannot be" in done.err
        assert "rag512secret" not in done.err
        assert "Signature" not in done.err.replace("SignatureDoesNotMatch", "")


def test_store_without_its_package_names_the_command(run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    """A host installs it only where it needs it."""
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    done = run("fetch", INDEX_URL=f"{WHERE}/index-0123456789abcdef.tar.gz")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "pip install -r requirements-s3.txt" in done.err
