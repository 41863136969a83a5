#!/bin/sh
# uninstall.sh MANIFEST [DESTDIR]: removes the files that `cmake --install` listed in MANIFEST (whose last line has no
# end), and the folders of our own name that are empty then. What others put there stays.
set -eu
manifest=$1
root=${2:-}
if [ ! -f "$manifest" ]; then
    echo "uninstall: $manifest is missing: nothing was installed from here" >&2
    exit 2
fi
removed=0
while read -r file || [ -n "$file" ]; do
    if [ -e "$root$file" ] || [ -L "$root$file" ]; then
        rm -f "$root$file"
        removed=$((removed + 1))
    fi
done <"$manifest"
{ sed 's|/[^/]*$||' "$manifest"; echo; } | grep '/share/\(doc/\)\?pocketcdn\(/\|$\)' | sort -ur | while read -r folder; do
    while [ "${folder%/share*}" != "$folder" ] && [ "${folder##*/}" != share ] && [ "${folder##*/}" != doc ]; do
        rmdir "$root$folder" 2>/dev/null || break
        folder=${folder%/*}
    done
done
echo "uninstall: $removed files removed"
