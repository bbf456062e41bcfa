#!/usr/bin/env bash
# Install what only the operating system has and the tests use: a browser, its fonts, strace, prlimit.
# Where that is not allowed, say in one line what is left out; the tests that need it then skip by name.
set -euo pipefail

missing_packages() {
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || echo chromium
    command -v strace >/dev/null || echo strace
    command -v prlimit >/dev/null || echo util-linux
    compgen -G "/usr/share/fonts/opentype/noto/NotoSansCJK*" >/dev/null || echo fonts-noto-cjk
}

left_out() {
    echo "make system: left out ($1): $(missing_packages | paste -sd' ')"
    exit 0
}

[ -n "$(missing_packages)" ] || exit 0
command -v apt-get >/dev/null || left_out "no apt-get here"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || left_out "neither root nor sudo without a password"
    as_root=(sudo -n)
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >/dev/null </dev/null; }
packages=$(missing_packages)
echo "make system: installing" $packages
# shellcheck disable=SC2086 # one word a package
apt install --yes --no-install-recommends $packages 2>/dev/null ||
    { apt update && apt install --yes --no-install-recommends $packages; } || left_out "apt-get failed"
