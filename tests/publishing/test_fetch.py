"""`fetch` against a real web server: what comes is the published index, and nothing else ever takes its place."""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from src.artifacts import Manifest
from src.publishing import download
from src.publishing.stream import BLOCK_BYTES
from tests.conftest import ROOT, corpus_places, fill, wait_until
from tests.publishing.file_server import FileServer, broken_after, serve_files, status
from tests.publishing.published import Done, Published, all_bytes, corpus_index


def left_beside(index_dir: Path) -> list[str]:
    return sorted(path.name for path in index_dir.parent.iterdir())


def require_fetched(index_dir: Path) -> None:
    assert all_bytes(index_dir) == all_bytes(corpus_index())
    assert left_beside(index_dir) == ["index"]


@pytest.mark.parametrize("is_sum_set", [True, False])
def test_published_index_takes_the_place_of_the_old(
    is_sum_set: bool, files: FileServer, published: Published, old_index: Path, run: Callable[..., Done]
) -> None:
    """To the byte; without INDEX_SHA256 the file beside the archive counts, whatever is behind the `?`."""
    url = f"{files.url}/{published.archive.name}?signature=abc"
    done = run("fetch", INDEX_URL=url, INDEX_SHA256=published.lines["INDEX_SHA256"] if is_sum_set else "")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^(\d\.\d) of \1 MB are here\.$", done.out, re.MULTILINE)
    require_fetched(old_index)
    assert len(files.asked) == (1 if is_sum_set else 2)


def test_index_that_is_here_is_not_fetched_again(
    files: FileServer, published: Published, run: Callable[..., Done], tmp_path: Path
) -> None:
    """A start costs nothing, and works while the server of the archive is away."""
    address = {"INDEX_URL": f"{files.url}/{published.archive.name}"}
    assert run("fetch", **address).code == 0
    asked = len(files.asked)
    done = run("fetch", **address)
    assert (done.code, len(files.asked)) == (0, asked)
    assert "already" in done.out


def test_index_that_is_here_but_damaged_is_fetched_again(
    files: FileServer, published: Published, old_index: Path, run: Callable[..., Done]
) -> None:
    """The manifest alone does not tell."""
    address = {"INDEX_URL": f"{files.url}/{published.archive.name}"}
    assert run("fetch", **address).code == 0
    texts = old_index / "lexical.sqlite3"
    texts.write_bytes(bytes(texts.stat().st_size))
    assert run("fetch", **address).code == 0
    require_fetched(old_index)


def test_fetch_without_an_address_does_nothing(run: Callable[..., Done], tmp_path: Path) -> None:
    """A build command can hold it always."""
    done = run("fetch")
    assert (done.code, done.err) == (0, "")
    assert "INDEX_URL is not set" in done.out
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("form", ["path", "relative", "file"])
def test_archive_on_this_machine_is_fetched(
    form: str, published: Published, run: Callable[..., Done], tmp_path: Path
) -> None:
    """As a path, or as a file address."""
    relative = os.path.relpath(published.archive)
    url = {"path": str(published.archive), "relative": relative, "file": f"file://{published.archive}"}[form]
    assert run("fetch", INDEX_URL=url).code == 0
    require_fetched(tmp_path / "data" / "index")


def test_killed_fetch_goes_on_where_it_was(
    files: FileServer, published: Published, run: Callable[..., Done], old_index: Path
) -> None:
    """The second attempt asks only for the rest; until then the old index is there."""
    files.stalls_after = published.archive.stat().st_size - 1000
    env = {**os.environ, **corpus_places(), "INDEX_DIR": str(old_index), **published.lines}
    env["INDEX_URL"] = f"{files.url}/{published.archive.name}"
    before = all_bytes(old_index)
    with subprocess.Popen([sys.executable, "build_embeddings.py", "fetch"], cwd=ROOT, env=env) as process:
        part = old_index.with_name(f".fetched-{published.lines['INDEX_SHA256'][:16]}")
        wait_until(lambda: part.exists() and part.stat().st_size >= BLOCK_BYTES, "the first half")
        process.send_signal(signal.SIGKILL)
    here = part.stat().st_size
    assert all_bytes(old_index) == before
    files.stalls_after = None
    assert run("fetch", INDEX_URL=env["INDEX_URL"], INDEX_SHA256=env["INDEX_SHA256"]).code == 0
    assert files.asked[-1] == (published.archive.name, f"bytes={here}-")
    require_fetched(old_index)


def test_archive_that_had_come_as_a_whole_is_not_asked_for_again(
    files: FileServer, published: Published, run: Callable[..., Done], tmp_path: Path
) -> None:
    """Killed between the last byte and the check: the server has nothing more to send, and says so with 416."""
    (tmp_path / "data").mkdir()
    part = tmp_path / "data" / f".fetched-{published.lines['INDEX_SHA256'][:16]}"
    part.write_bytes(published.archive.read_bytes())
    assert run("fetch", INDEX_URL=f"{files.url}/{published.archive.name}").code == 0
    require_fetched(tmp_path / "data" / "index")


@pytest.mark.parametrize("has_ranges", [True, False])
def test_connection_that_breaks_is_taken_up_again(
    has_ranges: bool, files: FileServer, published: Published, run: Callable[..., Done], tmp_path: Path
) -> None:
    """After an overload and two breaks; a server without ranges sends all of it once more."""
    files.ranges = has_ranges
    half, quarter = (published.archive.stat().st_size // parts for parts in (2, 4))
    files.faults = [status(503), broken_after(half), broken_after(quarter)]
    done = run("fetch", INDEX_URL=f"{files.url}/{published.archive.name}")
    assert (done.code, done.err) == (0, "")
    assert done.out.count("Trying again") == 3
    require_fetched(tmp_path / "data" / "index")
    asked = [wanted for path, wanted in files.asked if path == published.archive.name]
    assert asked == [None, None, f"bytes={half}-", f"bytes={half + quarter if has_ranges else quarter}-"]


def test_server_that_moved_the_archive_is_followed(
    files: FileServer, published: Published, run: Callable[..., Done], tmp_path: Path
) -> None:
    """Release pages of code hosts lead to a store of files."""
    files.moved = {f"old/{name}": f"/{name}" for name in all_bytes(published.folder)}
    assert run("fetch", INDEX_URL=f"{files.url}/old/{published.archive.name}").code == 0
    require_fetched(tmp_path / "data" / "index")


def test_address_with_https_does_not_lead_to_one_without(
    files: FileServer, published: Published, run: Callable[..., Done], tmp_path: Path
) -> None:
    """Who stands on the way could change both the archive and the sum beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes a certificate, is not here")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "1", "-subj", "/CN=test"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    with serve_files(published.folder, certificate, key) as secure:
        address = {"INDEX_URL": f"{secure.url}/{published.archive.name}", "REQUESTS_CA_BUNDLE": str(certificate)}
        secure.moved = {name: f"{files.url}/{name}" for name in all_bytes(published.folder)}
        done = run("fetch", **address)
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "leads to an address without https" in done.err
        secure.moved = {}
        assert run("fetch", **address).code == 0
    require_fetched(tmp_path / "data" / "index")


def rewrite(published: Published, change: Callable[[dict[str, bytes]], object]) -> None:
    """Publish an archive of changed files under the same name, with its right sum."""
    members = {}
    with tarfile.open(published.archive) as tar:
        for member in tar:
            members[member.name] = tar.extractfile(member).read()  # type: ignore[union-attr]
    change(members)
    write_archive(published, [(tarfile.TarInfo(name), data) for name, data in members.items()])


def write_archive(published: Published, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    with tarfile.open(published.archive, "w:gz") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    write_sum(published)


def write_sum(published: Published) -> None:
    digest = hashlib.sha256(published.archive.read_bytes()).hexdigest()
    published.archive.with_name(published.archive.name + ".sha256").write_text(f"{digest}  {published.archive.name}\n")


def with_spec(members: dict[str, bytes], **values: object) -> None:
    """Change the manifest and its sum, as another version's build would write them."""
    manifest = json.loads(members["manifest.json"])
    manifest["spec"].update(values)
    members["manifest.json"] = json.dumps(manifest, indent=2, sort_keys=True).encode()
    digest = hashlib.sha256(members["manifest.json"]).hexdigest()
    sums = re.sub(r"\w+  manifest.json", f"{digest}  manifest.json", members["SHA256SUMS"].decode())
    members["SHA256SUMS"] = sums.encode()


def no_archive(published: Published) -> None:
    published.archive.write_bytes(gzip.compress(b"Just a letter." * 1000))
    write_sum(published)


def half_a_file(published: Published) -> None:
    published.archive.write_bytes(published.archive.read_bytes()[: published.archive.stat().st_size // 2])


def half_an_archive(published: Published) -> None:
    half_a_file(published)
    write_sum(published)


def first_member_is(member: tarfile.TarInfo, data: bytes = b"") -> Callable[[Published], None]:
    return lambda published: write_archive(published, [(member, data)])


def link(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return member


DEFECTS: dict[str, tuple[Callable[[Published], object], str]] = {
    "changed": (lambda it: it.archive.write_bytes(b"other" + it.archive.read_bytes()), "is not what was published"),
    "cut short": (half_a_file, "is not what was published"),
    "published half": (half_an_archive, "is no archive of an index: .*Publish the index again"),
    "another format": (no_archive, "is no archive of an index: .*Publish the index again"),
    "missing": (lambda it: it.archive.unlink(), "the server answers 404"),
    "no sum": (lambda it: it.archive.with_name(it.archive.name + ".sha256").unlink(), "404.*Set INDEX_SHA256, or put"),
    "page for a sum": (
        lambda it: it.archive.with_name(it.archive.name + ".sha256").write_text("<html>"),
        "does not begin with a SHA-256",
    ),
    "climbing path": (
        lambda it: rewrite(it, lambda files: files.update({"../lexical.sqlite3": files.pop("lexical.sqlite3")})),
        "'../lexical.sqlite3' is not a file that its manifest names",
    ),
    "absolute path": (first_member_is(tarfile.TarInfo("/tmp/manifest.json")), "no archive of an index"),
    "link": (first_member_is(link("manifest.json")), "'manifest.json' is not a file"),
    "too large": (
        lambda it: rewrite(it, lambda files: files.update({"lexical.sqlite3": files["lexical.sqlite3"] + b"0"})),
        "'lexical.sqlite3' is not a file that its manifest names",
    ),
    "unknown file": (lambda it: rewrite(it, lambda files: files.update(more=b"")), "'more' is not a file"),
    "file missing": (lambda it: rewrite(it, lambda files: files.pop("lexical.sqlite3")), "has 0 bytes"),
    "damaged before": (
        lambda it: rewrite(it, lambda files: files.update({"lexical.sqlite3": bytes(len(files["lexical.sqlite3"]))})),
        "lexical.sqlite3 is damaged",
    ),
    "later format": (lambda it: rewrite(it, lambda files: with_spec(files, schema_version=99)), "index format 99"),
    "unknown keys": (lambda it: rewrite(it, lambda files: with_spec(files, more=1)), "its keys differ"),
    "another store": (lambda it: rewrite(it, lambda files: with_spec(files, store_format="chroma 9")), "chroma 9"),
    "another model": (
        lambda it: rewrite(it, lambda files: with_spec(files, model_fingerprint="0")),
        "embedding model 0",
    ),
    "another name": (lambda it: rewrite(it, lambda files: with_spec(files, languages={})), "Its name must be the one"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_archive_with_a_defect_is_one_line_and_the_old_index_stays(
    defect: str, files: FileServer, published: Published, old_index: Path, run: Callable[..., Done]
) -> None:
    """Whatever comes, one line says what is wrong, and nothing else is left."""
    change, message = DEFECTS[defect]
    change(published)
    before = all_bytes(old_index)
    done = run("fetch", INDEX_URL=f"{files.url}/{published.archive.name}")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert re.search(message, done.err), done.err
    assert all_bytes(old_index) == before
    assert not Path("/tmp/manifest.json").exists()
    assert [name for name in left_beside(old_index) if not name.startswith(".fetched-")] == ["index"]


def test_wrong_sum_leaves_no_part_to_go_on_with(
    files: FileServer, published: Published, run: Callable[..., Done], tmp_path: Path
) -> None:
    """The next fetch begins anew, and says which sum it wants."""
    done = run("fetch", INDEX_URL=f"{files.url}/{published.archive.name}", INDEX_SHA256="0" * 64)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert f"not {'0' * 64}" in done.err
    assert left_beside(tmp_path / "data" / "index") == []


def test_progress_tells_how_much_of_how_much(
    files: FileServer, published: Published, run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line from time to time, which a log can hold; the last one is the whole."""
    monkeypatch.setattr(download, "PROGRESS_EVERY_S", 0.0)
    done = run("fetch", INDEX_URL=f"{files.url}/{published.archive.name}")
    whole = f"{published.archive.stat().st_size / 1e6:.1f}"
    lines = [line for line in done.out.splitlines() if line.endswith(f" of {whole} MB are here.")]
    assert len(lines) > 2
    assert lines[0].startswith(f"{BLOCK_BYTES / 1e6:.1f} of")
    assert lines[-1].startswith(f"{whole} of")


def test_error_page_is_not_taken_for_an_archive(
    files: FileServer, published: Published, run: Callable[..., Done], tmp_path: Path
) -> None:
    """A server that is overloaded for long ends the fetch after five attempts."""
    files.faults = [status(503)] * 5
    done = run("fetch", INDEX_URL=f"{files.url}/{published.archive.name}")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "the server answers 503" in done.err
    assert len(files.asked) == 6


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://example.org/latest.tar.gz", "index-<fingerprint>.tar.gz"),
        ("https://example.org/", "names no file"),
        ("/nowhere/index-0123456789abcdef.tar.gz", "No such file"),
        ("http://127.0.0.1:9/index-0123456789abcdef.tar.gz?key=secret", "cannot be reached"),
    ],
)
def test_address_that_leads_nowhere_is_one_line(url: str, message: str, run: Callable[..., Done]) -> None:
    """What stands behind the `?` may be a signature, and is not shown."""
    done = run("fetch", INDEX_URL=url)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert message in done.err
    assert "secret" not in done.err + done.out


def test_full_disk_is_one_line_and_the_old_index_stays(
    files: FileServer, published: Published, run: Callable[..., Done], small_disk: Path
) -> None:
    """No room for the archive, or only for the archive: the index that is there can still be served."""
    index_dir = small_disk / "data" / "index"
    index_dir.mkdir(parents=True)
    (index_dir / "manifest.json").write_text("old")
    address = {"INDEX_URL": f"{files.url}/{published.archive.name}", "INDEX_DIR": str(index_dir)}
    sizes = published.archive.stat().st_size, sum(Manifest.load(corpus_index()).results.file_bytes.values())
    for room, files.tells_size in (
        (0, True),
        (sizes[0] // 2, True),
        (sizes[0] // 2, False),
        (sizes[0] + sizes[1] // 2, False),
    ):
        (small_disk / "filler").unlink(missing_ok=True)
        fill(small_disk, room)
        done = run("fetch", **address)
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "old index is as it was" in done.err
        assert all_bytes(index_dir) == {"manifest.json": b"old"}
        has_part = room > sizes[0]  # one that has come as a whole is not asked for again
        assert len(left_beside(index_dir)) == (2 if has_part else 1)
    (small_disk / "filler").unlink()
    assert run("fetch", **address).code == 0
    require_fetched(index_dir)
