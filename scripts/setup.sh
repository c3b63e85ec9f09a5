#!/bin/bash
# Set-up: installs what is missing to build sticks, and compiles Keyvisor. Safe to run again.
#
#   scripts/setup.sh            what `keyvisor build` needs
#   scripts/setup.sh --tests    also the tools of other people that the tests ask
#
# Needs Debian 12 or 13 or Ubuntu 24.04, and Node 20 or newer with npm.
set -euo pipefail
cd "$(dirname "$0")/.."

BUILD_PACKAGES=(mmdebstrap bubblewrap uidmap debian-archive-keyring)
TEST_PACKAGES=(bmap-tools bsdextrautils cryptsetup-bin dosfstools e2fsprogs erofs-utils fdisk gcc gdisk grub-common grub-pc-bin
  initramfs-tools-core iproute2 iputils-ping kmod libc6-dev libvirt-clients libxml2-utils lvm2 minisign mount mtools
  nftables openssh-client qemu-utils shellcheck squashfs-tools strace udftools unzip xfsprogs xorriso
  xz-utils zstd)
# The browser that opens report.html. Ubuntu's is a snap, which cannot see what a test wrote: there it is left out.
if grep -qs '^ID=debian$' /etc/os-release; then TEST_PACKAGES+=(chromium); fi

say() { printf '%s\n' "$*"; }
fail() {
  printf 'set-up: %s\n' "$@" >&2
  exit 1
}

need_node() {
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    fail 'Node.js or npm is missing' 'install Node 20 or newer, with npm, from nodejs.org or your distribution'
  fi
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] ||
    fail "Node $(node --version) is too old: Keyvisor needs 20 or newer" 'install it from nodejs.org or your distribution'
}

install_packages() {
  local missing=() package as_root=()
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  command -v apt-get >/dev/null ||
    fail 'this is neither Debian nor Ubuntu' "install these yourself, then run npm ci and npm run build: ${missing[*]}"
  say "installing with apt-get: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "there is no sudo; run as root: apt-get install ${missing[*]}"
    say 'this needs root: sudo may ask for your password'
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

install_modules() {
  [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund
}

# A user builds in namespaces of his own. Better to hear here that the machine forbids them than in a build.
need_namespaces() {
  [ "$(id -u)" -ne 0 ] || return 0
  if ! grep -q "^\($(id -un)\|$(id -u)\):" /etc/subuid 2>/dev/null; then
    fail 'this user has no subordinate ids' \
      "run: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)" 'or build as root'
  fi
  if unshare --map-auto --map-root-user --mount --pid --fork true && bwrap --ro-bind / / --unshare-user true; then
    return 0
  fi
  say 'set-up: this machine does not let users make namespaces. Either build as root, or save the following as' >&2
  say '/etc/apparmor.d/keyvisor and run "sudo apparmor_parser -r /etc/apparmor.d/keyvisor":' >&2
  say '' >&2
  node -e 'import("./dist/index.js").then((keyvisor) => console.error(keyvisor.APPARMOR_PROFILE))'
  exit 1
}

packages=("${BUILD_PACKAGES[@]}")
[ "${1:-}" != --tests ] || packages+=("${TEST_PACKAGES[@]}")
need_node
install_packages "${packages[@]}"
install_modules
npm run --silent build
need_namespaces
