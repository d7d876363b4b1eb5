#!/bin/sh
# Makes .venv from nothing but Python: what is locked by hash, then the members of the workspace, then Kafka's jars.
# Usage: deploy/install.sh MEMBER_FOLDER...
set -eu

uv="uv==0.13.8"
venv=.venv
here=$(pwd)

say() { printf '%s\n' "$*"; }
refuse() { say "$*" >&2; exit 1; }

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            say "$candidate"
            return
        fi
    done
}

python=$(find_python)
[ -n "$python" ] || refuse "Yijian needs Python 3.11 or newer: install it, or name it (make PYTHON=/path/to/python3 install)."
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    refuse "$python cannot make virtual environments: install its venv module (on Debian and Ubuntu: apt install python3-venv)."

# A virtual environment that came with a copy of another folder would run that folder's code.
if [ "$(cat "$venv/installed" 2>/dev/null || say "$here")" != "$here" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    rm -rf "$venv"
fi
if [ ! -x "$venv/bin/uv" ]; then
    say "Making $venv with $("$python" --version) …"
    "$python" -m venv "$venv" || refuse "$python could not make a virtual environment in $here/$venv: see above."
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$uv" ||
        refuse "The package registry could not be reached: check the network or pip's settings."
fi

# uv does not read pip's settings; a machine that has a mirror or a certificate has told pip.
pip_setting() { "$venv/bin/python" -m pip config get "$1" 2>/dev/null || true; }
index=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$(pip_setting global.index-url)}}
certificates=${SSL_CERT_FILE:-${PIP_CERT:-$(pip_setting global.cert)}}
[ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
[ -z "$certificates" ] || export SSL_CERT_FILE="$certificates"
export VIRTUAL_ENV="$here/$venv"

say "Installing what requirements.lock pins …"
"$venv/bin/uv" pip install --quiet --require-hashes -r requirements.lock
members=""
for member in "$@"; do members="$members -e $member"; done
# shellcheck disable=SC2086 - one option per member
"$venv/bin/uv" pip install --quiet --no-deps --no-build-isolation $members

say "Fetching Kafka …"
"$venv/bin/python" -m yijian_embedded.jars fetch
say "$here" > "$venv/installed"
