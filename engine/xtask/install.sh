# Installs the packages of Debian that are named, rabbitmq-server without starting it. Must run as root.
# Exit: 0 installed, 3 the machine's own policy would start it, other: apt-get failed.
set -eu
policy=/usr/sbin/policy-rc.d
case " $* " in *" rabbitmq-server "*) broker=yes ;; *) broker= ;; esac

if [ -z "$broker" ]; then
    : # Nothing that could start.
elif [ -e "$policy" ]; then
    # A policy that somebody else wrote is asked, never replaced.
    answer=0
    "$policy" rabbitmq-server start || answer=$?
    [ "$answer" -eq 101 ] || exit 3
else
    # 101 is "action forbidden by policy"; noclobber loses the race rather than another's file.
    (set -C && printf '#!/bin/sh\n# Only while cargo xtask installs RabbitMQ.\nexit 101\n' >"$policy")
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
install() {
    apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 \
        install --yes --no-install-recommends "$@"
}
# Package lists may be missing or old: only then are they fetched.
install "$@" || { apt-get -qq update && install "$@"; }

# It is here for tests that start their own nodes, so it does not start with the machine either.
if [ -n "$broker" ] && [ -d /run/systemd/system ]; then
    systemctl --quiet disable rabbitmq-server
fi
