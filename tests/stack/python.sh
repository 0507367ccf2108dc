#!/bin/sh
# Make a virtual environment at $1 with a Python 3.11 or later. Nothing else is needed to run the demo.
set -eu
venv=$1

suits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python=
for candidate in ${PYTHON:-python3} python3.14 python3.13 python3.12 python3.11; do
    if suits "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "trueup needs Python 3.11 or later; found $(python3 --version 2>&1 || echo none)." >&2
    echo "Install one, or name it: make PYTHON=/path/to/python3 ..." >&2
    exit 1
fi

# Debian splits venv off; without it the module is there and its ensurepip is not.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "make: this Python cannot make virtual environments; installing $package with apt-get" >&2
        apt-get update -q >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$package" >&2
    else
        echo "This Python cannot make virtual environments. Run: sudo apt-get install $package" >&2
        exit 1
    fi
fi
"$python" -m venv "$venv"
