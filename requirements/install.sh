#!/usr/bin/env bash
# Makes .venv: the pinned installer first, then every package by its hash, then this project,
# editable and without asking for its dependencies again. PYTHON names the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-python3}"

refuse() {
  echo "venv: $1" >&2
  exit 1
}

has_module() { "$PYTHON" -c "import $1" 2>/dev/null; }

make_environment() {
  [[ -x .venv/bin/python ]] && return
  # The folder of a try that failed half way is not an environment.
  if has_module ensurepip; then
    "$PYTHON" -m venv --clear .venv
  elif has_module pip || command -v uv >/dev/null; then
    "$PYTHON" -m venv --clear --without-pip .venv
  else
    refuse "python3-venv is missing: run 'apt-get install -y python3-venv', then this command again"
  fi
}

install_uv() {
  local wanted
  wanted="$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements/uv.txt)"
  if [[ "$(.venv/bin/uv --version 2>/dev/null)" == "uv $wanted"* ]]; then
    return
  fi
  if [[ -x .venv/bin/pip ]]; then
    .venv/bin/python -m pip install --quiet --require-hashes -r requirements/uv.txt
  elif command -v uv >/dev/null; then
    uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements/uv.txt
  else
    "$PYTHON" -m pip --python .venv/bin/python install --quiet --require-hashes \
      -r requirements/uv.txt
  fi
}

command -v "$PYTHON" >/dev/null || refuse "$PYTHON is missing: run 'apt-get install -y python3 python3-venv'"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  refuse "$("$PYTHON" --version) is too old: Python 3.11 or newer is needed; name one with PYTHON="
make_environment
install_uv
.venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements/dev.txt
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
echo "venv: .venv is ready ($(.venv/bin/python --version))"
