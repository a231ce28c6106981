#!/usr/bin/env bash
# Proves that `pip install` of a wheel is all that a user needs: installs it into an empty environment and runs the
# demo, a script as from a notebook, and a test that rolls a slow canary back.
#
#   scripts/try_wheel.sh dist/serin-0.1.0-py3-none-manylinux_2_34_x86_64.whl
#
# PYTHON is the interpreter of the environment (python3). It fails if the time from the install to the first verdict
# is 30 seconds or more.
set -euo pipefail

fail() {
  printf 'try_wheel: %s\n' "$*" >&2
  exit 1
}

(($# == 1)) || fail "give one wheel: scripts/try_wheel.sh dist/*.whl"
wheel=$(realpath "$1")
[[ -f $wheel ]] || fail "$1: no such file; build one with make wheel"
examples=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../python/examples")
limit=30

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# Nothing of this machine: neither a binary in a variable nor the sources of a checkout.
unset SERIN_BINARY PYTHONPATH
"${PYTHON:-python3}" -m venv env
export PATH=$folder/env/bin:$PATH
cp "$examples"/* .

begin=$(date +%s.%N)
env/bin/pip install --quiet --no-index "$wheel"
env/bin/python notebook.py
seconds=$(echo "$(date +%s.%N) $begin" | awk '{ printf "%.1f", $1 - $2 }')
echo "try_wheel: $seconds s from the install to the end of the first rollout"
awk -v s="$seconds" -v limit="$limit" 'BEGIN { exit !(s < limit) }' || fail "that is $limit s or more"

[[ $(command -v serin) == "$folder/env/bin/serin" ]] || fail "the binary is not in the environment: $(command -v serin)"
[[ $(serin --version) == "serin $(env/bin/python -c 'import serin; print(serin.__version__)')" ]] ||
  fail "the binary and the package are of different versions"
env/bin/python -m serin --version >/dev/null
serin demo --scenario slow >demo.txt || fail "serin demo: $(cat demo.txt)"
tail -n 1 demo.txt

env/bin/pip install --quiet pytest
env/bin/python -m pytest --quiet test_canary.py
# Each answer of the package has types, also for mypy --strict.
[[ -f $(env/bin/python -c 'import pathlib, serin; print(pathlib.Path(serin.__file__).parent / "py.typed")') ]] ||
  fail "the package has no py.typed"
echo "try_wheel: passed"
