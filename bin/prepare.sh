# Sourced by the commands beside it: installs what is missing, and only that. Sets root, the checkout's folder.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PATH=$PATH:/usr/sbin:/sbin
unset PYTHONDONTWRITEBYTECODE # with it, each of the processes to come would compile everything anew

say() { printf '%s\n' "$*"; }

# fail CAUSE LOG ADVICE
fail() {
    printf 'failed:  %s\n' "$1" >&2
    [ -z "$2" ] || { printf 'log:     %s\n' "$2"; tail -n 5 "$2" | sed 's/^/         /'; } >&2
    printf 'do this: %s\n' "$3" >&2
    exit 1
}

# with_progress LABEL LOG COMMAND…: a line when it begins, one with its time when it ends, a sign of life between.
with_progress() {
    local label=$1 log=$2 began=$SECONDS process
    shift 2
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 </dev/null &
    process=$!
    while kill -0 $process 2>/dev/null; do
        sleep 0.2
        [ $((SECONDS - began)) -lt "${next:=5}" ] || { say "  … $label ($((SECONDS - began)) s)"; next=$((next + 5)); }
    done
    unset next
    wait $process || return
    say "  $label: $((SECONDS - began)) s"
}

packages() { # packages GROUP…
    local group
    for group; do
        awk -v group="$group" '$1 == group { print $2 }' "$root/bin/packages.txt" "$root/images/demo/packages.txt"
    done | sort -u
}

missing_packages() {
    local name
    for name in $(packages "$@"); do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || printf '%s ' "$name"
    done
}

# A package's own service is not started: we run our own instances, and touch none of the machine's.
apt_install() {
    local policy=/usr/sbin/policy-rc.d
    "${sudo[@]}" apt-get -q update || return
    [ -e $policy ] || printf '#!/bin/sh\nexit 101\n# computecloud\n' | "${sudo[@]}" install -m 755 /dev/stdin $policy
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "$@"
    local status=$?
    ! grep -qs '^# computecloud$' $policy || "${sudo[@]}" rm -f $policy
    return $status
}

install_packages() { # install_packages GROUP…
    local missing
    command -v dpkg-query >/dev/null || fail "this is no Debian" "" "run it on Debian 12 or later, or in a container of it"
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    sudo=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "Debian packages are missing, and only root may install them" "" "apt-get install $missing"
        sudo=(sudo)
        sudo -v || fail "sudo was refused" "" "apt-get install $missing"
    fi
    say "Installing Debian packages: $missing"
    # shellcheck disable=SC2086
    with_progress "Debian packages" "$state/log/apt.log" apt_install $missing ||
        fail "apt-get could not install the Debian packages" "$state/log/apt.log" "mend what the log says (is the network there?), and run this again"
}

new_python() { python3 -m venv --clear "$root/.venv"; }
install_python() { "$root/.venv/bin/python" -m pip install --disable-pip-version-check --no-input "$@"; }

make_venv() { # make_venv REQUIREMENTS…
    local file want stamp=$root/.venv/requirements.stamp arguments=()
    want=$(cd "$root" && sha256sum "$@" && python3 -c 'import sys; assert sys.version_info >= (3, 11); print(sys.version)') ||
        fail "python3 is too old, or a file is missing" "" "install Python 3.11 or later and put it first in PATH"
    [ -n "$(printf '%s\n' "$want" | grep -vxFf "$stamp" 2>&1)" ] || return 0
    for file; do arguments+=(-r "$root/$file"); done
    say "Installing Python packages into .venv: $*"
    [ -x "$root/.venv/bin/python" ] && "$root/.venv/bin/python" -m pip --version >/dev/null 2>&1 ||
        with_progress ".venv" "$state/log/venv.log" new_python ||
        fail "python3 -m venv failed" "$state/log/venv.log" "see what the log says; python3-venv must be of the same version as python3"
    with_progress "Python packages" "$state/log/pip.log" install_python "${arguments[@]}" ||
        fail "pip could not install the requirements" "$state/log/pip.log" "mend what the log says (is the network there?), and run this again"
    { printf '%s\n' "$want"; cat "$stamp" 2>/dev/null; } | sort -u >"$stamp.part" && mv "$stamp.part" "$stamp"
}
