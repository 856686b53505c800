"""The memory lab's command line: a table for people, `--json` for machines."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from benchmarks.cgroup_box import Box, BoxUnavailable, box_if
from benchmarks.tables import Record, as_table

Run = Callable[[argparse.Namespace], Sequence[Record]]


def _imports(arguments: argparse.Namespace) -> Sequence[Record]:
    from benchmarks.imports import MODULES, measure_imports, measure_timeline

    if arguments.timeline:
        return measure_timeline()
    return measure_imports(arguments.modules or MODULES)


def _startup(_arguments: argparse.Namespace) -> Sequence[Record]:
    from benchmarks.startup import measure_startup

    return [measure_startup("rag512")]


def _boxed_startup(_arguments: argparse.Namespace) -> Sequence[Record]:
    from benchmarks.fresh_clone import drop_pages, fresh_clone, read_build_command
    from benchmarks.startup import measure_startup

    with Box() as box, fresh_clone() as clone:
        drop_pages(clone)
        print(f"From a fresh clone after: {read_build_command()}; page cache dropped.", file=sys.stderr)
        return [measure_startup("rag512", box=box, cwd=clone)]


def _load(arguments: argparse.Namespace) -> Sequence[Record]:
    from benchmarks.load import measure_handovers, measure_load

    with box_if(arguments.box) as box:
        if arguments.handovers:
            return measure_handovers(clients=arguments.clients, handovers=arguments.handovers, box=box)
        return [measure_load(clients=arguments.clients, chats=arguments.chats, box=box)]


def _soak(arguments: argparse.Namespace) -> Sequence[Record]:
    from benchmarks.soak import measure_soak

    return [measure_soak(arguments.chats, is_repeating=is_repeating) for is_repeating in (True, False)]


def _day(arguments: argparse.Namespace) -> Sequence[Record]:
    from benchmarks.day import measure_day

    with Box() as box:
        return measure_day(box, arguments.questions)


def _scale(arguments: argparse.Namespace) -> Sequence[Record]:
    from benchmarks.scale import measure_scale

    return measure_scale(arguments.chunks, is_boxed=not arguments.no_box)


def _plain(arguments: argparse.Namespace) -> Sequence[Record]:
    from benchmarks.plain import measure_plain

    return measure_plain(is_boxed=arguments.box)


def _watch(arguments: argparse.Namespace) -> Sequence[Record]:
    from benchmarks.watch import watch

    watch(arguments.url)
    return []


def main() -> int:
    """Run one benchmark; 0 is success, 1 a failure that was explained on stderr."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, run: Run, about: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("--json", action="store_true", help="print JSON instead of a table")
        command.set_defaults(run=run)
        return command

    imports = add("imports", _imports, "what each import costs, in a fresh process")
    imports.add_argument("modules", nargs="*")
    imports.add_argument("--timeline", action="store_true", help="one after the other, as the server imports them")
    add("startup", _startup, "from spawn to thirty questions at once, by phase")
    add("box", _boxed_startup, "the same in a 512 MB / 0.1 CPU cgroup, from a fresh clone after the host's build")
    load = add("load", _load, "many clients: latencies, failures, the memory's peak")
    load.add_argument("--clients", type=int, default=30)
    load.add_argument("--chats", type=int, default=2000)
    load.add_argument("--handovers", type=int, metavar="N", help="until N workers were replaced, beside one worker")
    load.add_argument("--box", action="store_true", help="in the 512 MB / 0.1 CPU cgroup")
    soak = add("soak", _soak, "thousands of chats by one worker: does its memory grow?")
    soak.add_argument("--chats", type=int, default=10_000)
    day = add("day", _day, "a day of questions, probes and page visits in the 512 MB / 0.1 CPU cgroup")
    day.add_argument("--questions", type=int, default=1000)
    scale = add("scale", _scale, "many chunks, in the 512 MB / 0.1 CPU cgroup")
    scale.add_argument("chunks", type=int, nargs="*", default=[10_000])
    scale.add_argument("--no-box", action="store_true", help="unconfined")
    plain = add("plain", _plain, "beside Flask + sentence-transformers + Chroma, at start and lazily")
    plain.add_argument("--box", action="store_true", help="in the 512 MB / 0.1 CPU cgroup")
    watch = add("watch", _watch, "live view of a running server; Ctrl+C ends it")
    watch.add_argument("url", nargs="?", default="http://127.0.0.1:8000")
    arguments = parser.parse_args()
    try:
        records = arguments.run(arguments)
    except BoxUnavailable as exc:
        print(exc, file=sys.stderr)
        return 1
    if records:
        print(json.dumps(records, indent=2) if arguments.json else as_table(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
