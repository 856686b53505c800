#!/usr/bin/env bash
# ./run.sh            serve the committed index at http://127.0.0.1:8000 (PORT changes it)
# ./run.sh build      rebuild data/index from data/documents; arguments go to build_embeddings.py
# ./run.sh test       format, lint, types and tests, without torch; "test all" adds the model export's and Ray's
set -euo pipefail
cd "$(dirname "$0")"

fail() {
    echo "run.sh: $*" >&2
    exit 1
}

# install NAME FILE...: bring .venv to what the requirements files say; quick when it is there already.
install() {
    local name=$1 stamp sum
    shift
    stamp=.venv/.installed-$name
    if [ ! -x .venv/bin/pip ]; then  # the last thing that venv makes; it may have been stopped before
        local python=${PYTHON:-python3}
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
            fail "Python 3.11 or newer is needed. Install it, or name one: PYTHON=/path/to/python3.11 ./run.sh"
        "$python" -m venv .venv || fail "no virtual environment could be made; on Debian: apt install python3-venv"
    fi
    sum=$(cat requirements*.txt constraints.txt | cksum)
    if [ "$(cat "$stamp" 2>/dev/null)" != "$sum" ]; then
        echo "Installing what '$name' needs into .venv (once) ..." >&2
        .venv/bin/python -m pip install --quiet --disable-pip-version-check "${@/#/-r}" >&2 ||
            fail "pip could not install the requirements; its message is above"
        echo "$sum" >"$stamp"
    fi
}

# .env holds NAME=value lines; what is set already wins.
load_env() {
    local line name
    [ -f .env ] || return 0
    while IFS= read -r line || [ -n "$line" ]; do
        name=${line%%=*}
        [[ $line == *=* && $name =~ ^[A-Z][A-Z0-9_]*$ ]] || continue
        [ -n "${!name+set}" ] || export "$name=${line#*=}"
    done <.env
}

case ${1:-serve} in
serve)
    install serve requirements.txt
    load_env
    [ -z "${INDEX_URL:-}" ] || .venv/bin/python build_embeddings.py fetch >&2
    exec .venv/bin/gunicorn app:app
    ;;
build)
    install build requirements-build.txt
    load_env
    exec .venv/bin/python build_embeddings.py "${@:2}"
    ;;
test)
    install test requirements-dev.txt
    marks="not export"
    if [ "${2:-}" = all ]; then
        install all requirements-export.txt requirements-ray.txt
        marks=""
    fi
    .venv/bin/ruff format --check --quiet .
    .venv/bin/ruff check --quiet .
    .venv/bin/mypy
    unset PYTHONDONTWRITEBYTECODE  # the tests start hundreds of processes; each would compile all anew
    exec .venv/bin/python -m pytest -m "$marks" --cov -n 3 --dist worksteal
    ;;
*)
    fail "unknown command '$1'; use ./run.sh, ./run.sh build or ./run.sh test"
    ;;
esac
