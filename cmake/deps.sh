#!/bin/sh
# Installs the Debian packages that a job needs: deps.sh GROUP... (build demo test long bench geo).
# Says what is missing before it does anything, needs root or sudo only then, and costs milliseconds when all is there.
set -eu

build="gcc libc6-dev cmake ninja-build pkg-config check libmicrohttpd-dev libmaxminddb-dev libsqlite3-dev
    libcurl4-gnutls-dev libyaml-dev libjansson-dev libxxhash-dev libgnutls28-dev libknot-dev zlib1g-dev libexpat1-dev libbrotli-dev libzstd-dev libbsd-dev
    libmimalloc-dev media-types"
demo="python3-django libjs-jquery" # recommended by Django only, but the admin links to it
test="python3-django libjs-jquery python3-pytest python3-selenium python3-yaml chromium chromium-driver clang clang-format
    clang-tidy iwyu curl brotli zstd bind9-dnsutils knot-dnsutils openssl gunicorn haproxy python3-whitenoise
    python3-requests python3-botocore python3-cryptography"
long="clang libclang-rt-14-dev"
bench="nginx-light libnginx-mod-http-geoip2 varnish trafficserver gdnsd wrk dnsperf"
geo="npm"

wanted=
for group in "$@"; do
    case $group in
    build) wanted="$wanted $build" ;;
    demo) wanted="$wanted $demo" ;;
    test) wanted="$wanted $test" ;;
    long) wanted="$wanted $long" ;;
    bench) wanted="$wanted $bench" ;;
    geo) command -v npm >/dev/null || wanted="$wanted $geo" ;;
    *) echo "deps: no group '$group' (build demo test long bench geo)" >&2; exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    echo "deps: this is not a Debian system; install what matches these Debian 12 packages yourself:" $wanted >&2
    echo "deps: then run make with DEPS=no" >&2
    exit 3
fi

have=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null $wanted || true)
missing=
for package in $wanted; do
    case "
$have
" in
    *"
installed $package
"*) ;;
    *) case " $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac ;;
    esac
done
[ -n "$missing" ] || exit 0

echo "deps: installing with apt-get:$missing"
as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "deps: not root and no sudo here; as root run: apt-get install --no-install-recommends$missing" >&2
        exit 3
    fi
    as_root="sudo"
    [ -t 0 ] || as_root="sudo -n"
    if ! $as_root true; then
        echo "deps: sudo refused; as root run: apt-get install --no-install-recommends$missing" >&2
        exit 3
    fi
fi

# Packages with a service in them (nginx, varnish, ...) must not start it.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    $as_root sh -c "printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy"
    trap '$as_root rm -f $policy' EXIT INT TERM
fi
log=$(mktemp)
# One line that counts, on a terminal; apt's own lines are of no use to whoever waits.
show_progress() {
    [ -t 1 ] || return 0
    while kill -0 "$1" 2>/dev/null; do
        printf '\rdeps: %s packages unpacked, %s set up ' "$(grep -c '^Unpacking' "$log")" "$(grep -c '^Setting up' "$log")"
        sleep 1
    done
    printf '\r%60s\r' ''
}
run() {
    $as_root env DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1 </dev/null &
    show_progress $!
    if ! wait $!; then
        tail -n 20 "$log" >&2
        echo "deps: '$*' failed; the whole log is $log" >&2
        exit 3
    fi
}
run apt-get update -q
run apt-get install -q -y --no-install-recommends $missing
rm -f "$log"
