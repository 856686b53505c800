"""Command line of the offline build; the work is in `src/ingestion/` and `src/embedding/export/`.

python build_embeddings.py                          build the index of DOCUMENTS_DIR; only what changed is embedded
python build_embeddings.py --dry-run                tell what a build would do, and write nothing
python build_embeddings.py --strict                 fail where a file cannot be parsed
python build_embeddings.py verify                   check the index, and ask it for its own chunks
python build_embeddings.py inspect                  what is in the index
python build_embeddings.py search "a question"      ask it without the server
python build_embeddings.py --export-model           export EMBEDDING_MODEL_NAME to MODEL_DIR
python build_embeddings.py --export-model ./model   export another one, by name or path
"""

import argparse
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from src.config import Config
from src.errors import RagError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 is success, 1 a failure that was explained on stderr, 2 a command not understood."""
    arguments = _parser().parse_args(argv)
    try:
        config = Config.from_env()
        if arguments.backend is not None:
            config = replace(config, embedding_backend=arguments.backend)
        _command(arguments)(config, arguments)
    except RagError as exc:
        return _fail(str(exc))
    except ModuleNotFoundError as exc:
        needed = "requirements-build.txt" if arguments.export_model is None else "requirements-export.txt"
        return _fail(f"The package {exc.name} is not installed. Run pip install -r {needed}")
    except BrokenPipeError:
        return 1  # the program that read the output has stopped reading
    except KeyboardInterrupt:
        return _fail("Stopped. What was there before is untouched.")
    except (OSError, sqlite3.Error) as exc:
        return _fail(f"{exc}. Make room on that disk or the one of TMPDIR, or let the folder be written to.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="build_embeddings.py",
        description="Build data/index from data/documents. The environment says where they are (see .env.example).",
    )
    parser.add_argument(
        "--export-model",
        nargs="?",
        const="",
        metavar="NAME or PATH",
        help="instead of building, export a sentence-transformers model to MODEL_DIR (default: EMBEDDING_MODEL_NAME)",
    )
    parser.add_argument("--strict", action="store_true", help="fail where a file cannot be read; keep the old index")
    parser.add_argument(
        "--dry-run", action="store_true", help="read and split, tell what would be embedded, write nothing"
    )
    parser.add_argument(
        "--backend", choices=("onnx", "sentence-transformers"), help="what embeds (default: EMBEDDING_BACKEND)"
    )
    parser.add_argument("--device", help="torch device of the sentence-transformers backend, such as cuda")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="instead of building")
    commands.add_parser("verify", help="check the index against its manifest, and ask it for its own chunks")
    commands.add_parser("inspect", help="tell what is in the index")
    search = commands.add_parser("search", help="ask the index")
    search.add_argument("question")
    return parser


def _command(arguments: argparse.Namespace) -> Callable[[Config, argparse.Namespace], None]:
    if arguments.export_model is not None:
        return _export
    return {"verify": _verify, "inspect": _inspect, "search": _search}.get(arguments.command, _build)


def _build(config: Config, arguments: argparse.Namespace) -> None:
    from src.ingestion.index_builder import build_index, plan_build

    if arguments.dry_run:
        print(plan_build(config, strict=arguments.strict).summary(is_plan=True))
    else:
        print(build_index(config, strict=arguments.strict, device=arguments.device).summary())


def _verify(config: Config, _arguments: argparse.Namespace) -> None:
    from src.ingestion.index_check import verify_index

    print(verify_index(config.index_dir, config.model_dir))


def _inspect(config: Config, _arguments: argparse.Namespace) -> None:
    from src.ingestion.index_view import describe_index

    print(describe_index(config.index_dir))


def _search(config: Config, arguments: argparse.Namespace) -> None:
    from src.ingestion.index_view import search_index

    print(search_index(config, arguments.question))


def _export(config: Config, arguments: argparse.Namespace) -> None:
    from src.embedding.export.onnx_export import export_model, load_original
    from src.embedding.export.prediction import ModelSize

    name = arguments.export_model or config.embedding_model_name
    original = load_original(name)
    print(ModelSize.of(original).summary(config.memory_limit_mb), flush=True)
    card = export_model(original, name, config.model_dir)
    prompts = ", ".join(f"{kind} {text!r}" for kind, text in card.prompts.items()) or "none"
    print(f"Exported {card.name} to {config.model_dir}. Now rebuild the index: python build_embeddings.py")
    print(f"Prompts: {prompts}")


def _fail(message: str) -> int:
    print(f"build_embeddings.py: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
