#!/usr/bin/env bash
# Installs Debian packages without starting, enabling or configuring any service of theirs.
#
#   apt-quietly.sh PACKAGE...        (as root; called by test-setup.sh)
#
# The tests call servers by path, on free ports, in folders of their own. A package's own service
# would take the default port and outlive the tests, so for the time of the installation:
#   - policy-rc.d answers 101 ("action forbidden") to every start; a policy that already forbids
#     is left alone, any other is moved aside and put back, also after a run that was killed;
#   - PostgreSQL is told not to create its "main" cluster;
#   - units that the installation enabled are disabled again.
set -euo pipefail

readonly policy=/usr/sbin/policy-rc.d
readonly aside=/usr/sbin/policy-rc.d.verdictd-aside
readonly cluster_conf=/etc/postgresql-common/createcluster.d/verdictd-tests.conf
readonly marker='verdictd tests: temporary, removed after the installation'
readonly services=(prometheus postgresql)

# Puts everything back. Also called first, to repair what a killed run left behind.
restore() {
    if [[ -f $policy ]] && grep -qF "$marker" "$policy"; then
        rm -f "$policy"
    fi
    if [[ -e $aside ]]; then
        mv -T "$aside" "$policy"
    fi
    rm -f "$cluster_conf"
}

policy_forbids_starts() {
    local service answer
    [[ -x $policy ]] || return 1
    for service in "${services[@]}"; do
        answer=0
        "$policy" "$service" start >/dev/null 2>&1 || answer=$?
        ((answer == 101)) || return 1
    done
}

forbid_starts() {
    policy_forbids_starts && return
    if [[ -e $policy ]]; then
        mv -T "$policy" "$aside"
    fi
    printf '#!/bin/sh\n# %s\nexit 101\n' "$marker" >"$policy"
    chmod 755 "$policy"
}

forbid_default_cluster() {
    mkdir -p "$(dirname "$cluster_conf")"
    printf '# %s\ncreate_main_cluster = false\n' "$marker" >"$cluster_conf"
}

enabled_units() {
    command -v systemctl >/dev/null || return 0
    local service
    for service in "${services[@]}"; do
        if systemctl is-enabled --quiet "$service.service" 2>/dev/null; then
            echo "$service.service"
        fi
    done
}

# Only units that were not enabled before: a machine's own server stays as it was.
disable_new_units() {
    local before=$1 unit
    while read -r unit; do
        if [[ -n $unit ]] && ! grep -qxF "$unit" <<<"$before"; then
            systemctl disable --quiet "$unit" || true
        fi
    done < <(enabled_units)
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

main() {
    if ((EUID != 0)); then
        echo "apt-quietly: must run as root" >&2
        exit 1
    fi
    if (($# == 0)); then
        echo "usage: apt-quietly.sh PACKAGE..." >&2
        exit 2
    fi
    # Two test runs on one machine must not restore each other's policy.
    exec 9>/run/lock/verdictd-apt-quietly
    flock 9
    restore
    trap restore EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    local before
    before=$(enabled_units)
    forbid_starts
    if [[ " $* " == *' postgresql '* ]]; then
        forbid_default_cluster
    fi
    # The package lists of a fresh machine may be missing or outdated: refresh them only then.
    if ! apt_install "$@"; then
        apt-get update --quiet -o DPkg::Lock::Timeout=300
        apt_install "$@"
    fi
    disable_new_units "$before"
}

main "$@"
