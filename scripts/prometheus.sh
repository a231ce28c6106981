#!/usr/bin/env bash
# Prints a folder with the programs prometheus and promtool: that of the installed ones, or a folder under target/ into
# which Debian's package is unpacked. Nothing is installed, so this needs no root, except for the lists of packages where
# there are none yet.
#
#     scripts/prometheus.sh [FOLDER]
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=${1:-target/prometheus}

die() {
  printf 'prometheus.sh: %s\n' "$*" >&2
  exit 1
}

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
  dirname "$(command -v promtool)"
  exit
fi

programs=$folder/usr/bin
if [[ ! -x $programs/prometheus || ! -x $programs/promtool ]]; then
  command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
    die "prometheus and promtool are not installed, and this is no Debian; install them, see https://prometheus.io/download/"
  rm -rf "$folder"
  mkdir -p "$folder/package"
  download() { (cd "$folder/package" && apt-get download -qq prometheus >&2); }
  if ! download 2>/dev/null; then
    as_root=()
    [[ $(id -u) -eq 0 ]] || as_root=(sudo)
    ${as_root[@]+"${as_root[@]}"} apt-get update -qq >&2 || printf 'prometheus.sh: apt-get update failed; trying with the lists there are\n' >&2
    download || die "Debian's package prometheus cannot be downloaded; install prometheus and promtool"
  fi
  dpkg -x "$folder"/package/prometheus_*.deb "$folder"
  rm -rf "$folder/package"
fi
(cd "$programs" && pwd)
