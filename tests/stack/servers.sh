#!/bin/sh
# Install the servers that the tests run against, if any is missing: as root with apt-get, otherwise print the line.
# No service is left running, and no database cluster is made: the tests start their own.
set -eu

packages=
want() { packages="$packages $*"; }
has() { command -v "$1" >/dev/null 2>&1; }

ls /usr/lib/postgresql/15/bin/initdb >/dev/null 2>&1 || want postgresql
ls /usr/share/postgresql/15/extension/pgcrypto.control >/dev/null 2>&1 || want postgresql-contrib
has prometheus && has promtool || want prometheus
has chromium || want chromium
has java || want default-jre-headless
has mvn || want maven
has mariadbd || [ -x /usr/sbin/mariadbd ] || want mariadb-server
# MySQL comes from a jar and needs these two from the system.
ls /usr/lib/*/libaio.so.1* >/dev/null 2>&1 || want libaio1
ls /usr/lib/*/libnuma.so.1* >/dev/null 2>&1 || want libnuma1
[ -n "$packages" ] || exit 0

if [ "$(id -u)" != 0 ] || ! has apt-get; then
    echo "Servers for the tests are missing. Run: sudo apt-get install --no-install-recommends$packages" >&2
    exit 1
fi

echo "make: installing servers for the tests with apt-get:$packages" >&2
policy=/usr/sbin/policy-rc.d
clusters=/etc/postgresql-common/createcluster.d/no-main-cluster.conf
made=
restore() { [ -z "$made" ] || rm -f $made; }
trap restore EXIT
trap 'exit 1' INT TERM
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    made="$made $policy"
fi
if [ ! -e $clusters ]; then
    mkdir -p "$(dirname $clusters)"
    echo 'create_main_cluster = false' >$clusters
    made="$made $clusters"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >&2
# shellcheck disable=SC2086
apt-get install -q -y --no-install-recommends $packages >&2
