#!/bin/sh
# Writes the lock files: every package pinned and hashed, no index address in them.
#   operator.txt     the operator's image        build.txt       what makes the project's wheel
#   probes.txt       the probes' image           probes-gpu.txt  the same with torch
#   demo-server.txt  the demo server's image     demo-model.txt  what makes its models
#   dev.txt          everything, for people      uv.txt          the installer itself
# UV and PYTHON name the programs; `make lock` passes those of the virtual environment.
set -eu
cd "$(dirname "$0")/.."
UV="${UV:-uv}"
PYTHON="${PYTHON:-python3}"

compile() { # compile FILE ARGUMENTS...
  file="$1"
  shift
  UV_CUSTOM_COMPILE_COMMAND="make lock" "$UV" pip compile --quiet --universal --generate-hashes \
    --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-annotate \
    --output-file "requirements/$file" "$@"
  echo "requirements/$file"
}

extra() { # extra NAME: what one extra of pyproject.toml asks for, without the operator's own needs
  "$PYTHON" -c "
import sys, tomllib
with open('pyproject.toml', 'rb') as file:
    print('\n'.join(tomllib.load(file)['project']['optional-dependencies'][sys.argv[1]]))" "$1"
}

compile operator.txt pyproject.toml
compile build.txt requirements/build.in
# NVML's binding is small and says truthfully that there is no device: it belongs to both.
{ extra probes && extra gpu | grep '^nvidia-ml-py'; } | compile probes.txt -
{ extra probes && extra gpu; } | compile probes-gpu.txt -
extra demo-server | compile demo-server.txt -
extra demo-model | compile demo-model.txt -
compile dev.txt pyproject.toml requirements/build.in \
  --extra probes --extra demo-server --extra demo-model --extra report --extra dev
compile uv.txt requirements/uv.in
