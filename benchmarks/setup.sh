#!/usr/bin/env bash
# Makes the virtual environments of the peers under benchmarks/.venv; `setup.sh peers` only the
# small one. What cannot be installed is told and left out: speed.py reports it as missing.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

python=${PYTHON:-python3}

install() {  # install ENVIRONMENT REQUIREMENTS
    local stamp=".venv/$1/.installed"
    if [[ -f $stamp && ! $2 -nt $stamp ]]; then
        return
    fi
    echo "setting up benchmarks/.venv/$1" >&2
    if "$python" -m venv ".venv/$1" &&
        ".venv/$1/bin/python" -m pip --quiet --disable-pip-version-check --no-input install -r "$2" >&2
    then
        touch "$stamp"
    else
        echo "benchmarks/.venv/$1 could not be made; speed.py runs without" >&2
    fi
}

install peers requirements.txt
# With torch, one to several gigabytes, by the build that pip finds.
if [[ ${1:-all} != peers ]]; then
    install llm-guard requirements-llm-guard.txt
fi
