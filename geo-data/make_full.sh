#!/bin/sh
# Puts the two full databases (134 MB, CC BY 4.0, see LICENSE-DATA) into geo-data/full/.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
source=$("$here/fetch.sh")
mkdir -p "$here/full"
for family in ipv4 ipv6; do
    cp "$source/dbip-city-$family.mmdb" "$here/full/.part"
    mv "$here/full/.part" "$here/full/dbip-city-$family.mmdb"
    echo "$here/full/dbip-city-$family.mmdb"
done
