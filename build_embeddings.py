"""Command line of the offline build; the work is in `src/ingestion/` and `src/embedding/export/`.

`./run.sh build` reads .env and passes its arguments on. A host's build command runs `python build_embeddings.py fetch`.

./run.sh build                          build the index of DOCUMENTS_DIR; only what changed is embedded
./run.sh build --dry-run                tell what a build would do, and write nothing
./run.sh build --strict                 fail where a file cannot be parsed
./run.sh build --engine ray             parse and embed on a Ray cluster (--ray-address host:6379)
./run.sh build verify                   check the index, and ask it for its own chunks
./run.sh build inspect                  what is in the index
./run.sh build search "a question"      ask it without the server
./run.sh build push                     fill the Chroma server at CHROMA_URL with the index's vectors
./run.sh build prune                    remove the vectors of other indexes there
./run.sh build publish FOLDER           write the index there as an archive; s3://bucket/folder too
./run.sh build fetch                    bring the archive that INDEX_URL names into INDEX_DIR
./run.sh build --export-model           export EMBEDDING_MODEL_NAME to MODEL_DIR
./run.sh build --export-model ./model   export another one, by name or path
"""

import argparse
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from src.config import Config
from src.errors import BuildError, RagError

if TYPE_CHECKING:
    from src.ingestion.engines import Engine


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 is success, 1 a failure that was explained on stderr, 2 a command not understood."""
    arguments = _parser().parse_args(argv)
    try:
        config = Config.from_env()
        if arguments.backend is not None:
            config = replace(config, embedding_backend=arguments.backend)
        run = arguments.run if arguments.export_model is None else _export
        run(config, arguments)
    except RagError as exc:
        return _fail(str(exc))
    except ModuleNotFoundError as exc:
        needed = "build" if arguments.export_model is None else "export"
        needed = "ray" if arguments.engine == "ray" else needed
        return _fail(f"The package {exc.name} is not installed. Run .venv/bin/pip install -r requirements-{needed}.txt")
    except BrokenPipeError:
        return 1  # the program that read the output has stopped reading
    except KeyboardInterrupt:
        return _fail("Stopped. What was there before is untouched.")
    except (OSError, sqlite3.Error) as exc:
        cure = "Free some space on that disk or in TMPDIR, or allow this user to write to the folder."
        return _fail(f"{exc}. {cure}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="build_embeddings.py",
        description="Build data/index from data/documents. The environment says where they are; ./run.sh build "
        "reads .env (see .env.example).",
    )
    parser.add_argument(
        "--export-model",
        nargs="?",
        const="",
        metavar="NAME or PATH",
        help="instead of building, export a sentence-transformers model to MODEL_DIR (default: EMBEDDING_MODEL_NAME)",
    )
    parser.add_argument("--strict", action="store_true", help="fail where a file cannot be parsed; keep the old index")
    parser.add_argument(
        "--dry-run", action="store_true", help="parse and split, tell what would be embedded, write nothing"
    )
    parser.add_argument(
        "--backend", choices=("onnx", "sentence-transformers"), help="what embeds (default: EMBEDDING_BACKEND)"
    )
    parser.add_argument("--device", help="torch device of the sentence-transformers backend, such as cuda")
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="where to parse and embed (default: local)"
    )
    parser.add_argument("--ray-address", metavar="HOST:PORT", help="a Ray cluster (default: start one on this machine)")
    parser.set_defaults(run=_build)
    _add_commands(parser)
    return parser


def _add_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", title="instead of building")
    for name, run, what in (
        ("verify", _verify, "check the index against its manifest, and ask it for its own chunks"),
        ("inspect", _inspect, "tell what is in the index"),
        ("push", _push, "fill the Chroma server at CHROMA_URL with the index's vectors"),
        ("prune", _prune, "remove the vectors of other indexes from that server"),
        ("search", _search, "ask the index"),
        ("publish", _publish, "write the index as an archive, and print what fetches it"),
        ("fetch", _fetch, "bring the published index that INDEX_URL names"),
    ):
        commands.add_parser(name, help=what).set_defaults(run=run)
    commands.choices["search"].add_argument("question")
    commands.choices["publish"].add_argument("where", metavar="FOLDER", help="or s3://bucket/folder")


def _build(config: Config, arguments: argparse.Namespace) -> None:
    from src.ingestion.index_builder import build_index, plan_build

    strict = arguments.strict
    with _open_engine(config, arguments) as engine:
        if arguments.dry_run:
            print(plan_build(config, strict=strict, engine=engine).summary(is_plan=True))
        else:
            print(build_index(config, strict=strict, device=arguments.device, engine=engine).summary())


def _open_engine(config: Config, arguments: argparse.Namespace) -> "AbstractContextManager[Engine | None]":
    if arguments.engine == "ray":
        from src.ingestion.ray_engine import RayEngine

        return closing(RayEngine(config, arguments.ray_address))
    if arguments.ray_address is not None:
        raise BuildError("--ray-address is for a build on Ray. Add --engine ray.")
    return nullcontext()


def _verify(config: Config, _arguments: argparse.Namespace) -> None:
    from src.ingestion.index_check import verify_index

    print(verify_index(config.index_dir, config.model_dir))


def _inspect(config: Config, _arguments: argparse.Namespace) -> None:
    from src.ingestion.index_view import describe_index

    print(describe_index(config.index_dir))


def _search(config: Config, arguments: argparse.Namespace) -> None:
    from src.ingestion.index_view import search_index

    print(search_index(config, arguments.question))


def _push(config: Config, _arguments: argparse.Namespace) -> None:
    from src.ingestion.vector_push import push_vectors

    print(push_vectors(config))


def _prune(config: Config, _arguments: argparse.Namespace) -> None:
    from src.ingestion.vector_push import prune_vectors

    print(prune_vectors(config))


def _publish(config: Config, arguments: argparse.Namespace) -> None:
    from src.publishing.publish import publish_index

    print(publish_index(config.index_dir, arguments.where, partial(print, file=sys.stderr)))


def _fetch(config: Config, _arguments: argparse.Namespace) -> None:
    from src.publishing.fetch import fetch_index

    tell = partial(print, flush=True)
    tell(fetch_index(config, tell))


def _export(config: Config, arguments: argparse.Namespace) -> None:
    from src.embedding.export.onnx_export import export_model, load_original
    from src.embedding.export.prediction import ModelSize

    name = arguments.export_model or config.embedding_model_name
    original = load_original(name)
    print(ModelSize.of(original).summary(config.memory_limit_mb), flush=True)
    card = export_model(original, name, config.model_dir)
    prompts = ", ".join(f"{kind} {text!r}" for kind, text in card.prompts.items()) or "none"
    print(f"Exported {card.name} to {config.model_dir}. Now rebuild the index: ./run.sh build")
    print(f"Prompts: {prompts}")


def _fail(message: str) -> int:
    print(f"build_embeddings.py: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
