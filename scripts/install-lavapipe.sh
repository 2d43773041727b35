#!/usr/bin/env bash
# Installs Mesa's software Vulkan driver (lavapipe) in a version that Dawn accepts, 25 or newer, on Debian and Ubuntu.
# It runs wgrank on a machine without a GPU several times faster than SwiftShader. Debian 12's own Mesa 22.3 is refused by
# Dawn, so there it comes from bookworm-backports, on the mirror that the machine already uses.
set -euo pipefail

. /etc/os-release
run() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
installed=$(dpkg-query -W -f='${Version}' mesa-vulkan-drivers 2>/dev/null || true)
if [ -n "$installed" ] && dpkg --compare-versions "$installed" ge 25; then
  echo "mesa-vulkan-drivers $installed is installed already"
  exit 0
fi

target=()
if [ "${VERSION_CODENAME:-}" = bookworm ]; then
  mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
  [ -n "$mirror" ] || mirror=$(awk '$1 == "deb" && $0 !~ /security/ { for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) { print $i; exit } }' /etc/apt/sources.list)
  if [ -z "$mirror" ]; then
    echo 'no Debian mirror found in /etc/apt: add bookworm-backports by hand and run this again' >&2
    exit 1
  fi
  echo "deb $mirror bookworm-backports main" | run tee /etc/apt/sources.list.d/bookworm-backports.list >/dev/null
  target=(-t bookworm-backports)
fi
run apt-get update -qq
run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${target[@]}" mesa-vulkan-drivers libvulkan1 >/dev/null
installed=$(dpkg-query -W -f='${Version}' mesa-vulkan-drivers)
if dpkg --compare-versions "$installed" lt 25; then
  echo "mesa-vulkan-drivers $installed is installed, but Dawn wants 25 or newer: this release has no newer one" >&2
  exit 1
fi
echo "mesa-vulkan-drivers $installed is installed"
