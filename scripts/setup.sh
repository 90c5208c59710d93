#!/usr/bin/env bash
# Builds .venv in the checkout from the locked versions, and tests/js/node_modules where npm is there.
# Needs Python 3.11 or newer, no root.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-}
if [ -z "$python" ]; then
  for candidate in python3.13 python3.12 python3.11 python3; do
    if command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      python=$candidate
      break
    fi
  done
fi
if [ -z "$python" ]; then
  echo "setup: Python 3.11 or newer with the venv module is needed" \
    "(Debian, Ubuntu: apt-get install python3 python3-venv make git)" >&2
  exit 3
fi

# A half-made or moved environment is made anew rather than repaired.
if [ -e .venv ] && ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  rm -rf .venv
fi
[ -e .venv ] || "$python" -m venv .venv
.venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip --upgrade >/dev/null
.venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==0.13.9"
sync() {
  UV_PROJECT_ENVIRONMENT="$PWD/.venv" .venv/bin/uv sync --quiet --frozen --inexact \
    --python .venv/bin/python "$@"
}
# Behind a hospital's inspecting proxy only the system's own certificate store knows the authority.
sync --system-certs || sync
touch .venv/.ready
