#!/bin/sh
# build.sh COMMAND...: runs a build quietly. A terminal shows ninja's own line that counts; elsewhere there is one
# line at the beginning and one at the end. What the compiler said is printed when it failed.
set -eu
if [ -t 1 ]; then
    exec "$@"
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
start=$(date +%s)
echo "build: compiling, about half a minute when nothing is there yet"
if ! "$@" >"$log" 2>&1; then
    grep -v '^\[[0-9]*/[0-9]*\] \(Building\|Linking\)' "$log" >&2 || cat "$log" >&2
    echo "build: failed: $*" >&2
    exit 1
fi
echo "build: done in $(($(date +%s) - start)) s"
