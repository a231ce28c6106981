#!/usr/bin/env bash
# Installs what the build and the tests need, only where it is missing: a C compiler (for the SQLite
# that is compiled in), curl (for the scenarios), Python with venv (for the originals of imported
# models; `make .venv/ready` installs the packages), Chromium (for the page), PostgreSQL with
# openssl (for the tests of its store), and nginx (in front of several replicas). Rust itself it only checks. On Debian and Ubuntu it uses apt-get, as root or through sudo; elsewhere it says what to install.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

has() { command -v "$1" >/dev/null 2>&1; }
say() { printf 'setup: %s\n' "$*"; }
die() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

check_rust() {
  local wanted
  wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
  has cargo || die "cargo is not installed; install Rust $wanted or newer, see https://rustup.rs"
  local found
  found=$(rustc --version | awk '{ print $2 }')
  if [[ $(printf '%s\n' "$wanted" "${found%%-*}" | sort -V | head -n 1) != "$wanted" ]]; then
    die "Rust $found is installed and serin needs $wanted or newer; try 'rustup update'"
  fi
  # rustfmt and clippy are wanted by 'make check' alone, so their absence is not an error here.
  local component
  for component in fmt clippy; do
    cargo "$component" --version >/dev/null 2>&1 ||
      say "cargo $component is not installed and 'make check' needs it; try 'rustup component add rustfmt clippy'"
  done
}

install_packages() {
  has apt-get || die "please install $1 with your system's package manager, then run this again"
  local as_root=()
  if [[ $(id -u) -ne 0 ]]; then
    has sudo || die "installing $1 needs root and there is no sudo; as root: apt-get install $1"
    as_root=(sudo)
  fi
  say "installing with apt-get: $1"
  # The refresh may fail on one stale source while the packages can still be had.
  ${as_root[@]+"${as_root[@]}"} apt-get update -qq || say "apt-get update failed; trying with the lists there are"
  # shellcheck disable=SC2086 # $1 is a list of packages
  ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $1 >/dev/null
}

# Only Debian has the Chromium without windows, which is quicker.
has_browser() {
  has chromium-headless-shell && return
  apt-cache show chromium-headless-shell >/dev/null 2>&1 && return 1
  has chromium || has chromium-browser || has google-chrome
}

# Debian's programs are not on the path.
has_postgresql() {
  has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

# Not on the path of every user.
has_nginx() {
  has nginx || [[ -x /usr/sbin/nginx ]]
}

missing=()
has curl || missing+=(curl)
# The C library's headers are what a bare compiler package leaves out.
has cc || missing+=(gcc libc6-dev)
# Debian's Python comes without what `python3 -m venv` needs.
python3 -c 'import ensurepip' >/dev/null 2>&1 || missing+=(python3 python3-venv)
has_browser || missing+=(chromium-headless-shell)
has_postgresql || missing+=(postgresql)
has openssl || missing+=(openssl)
has_nginx || missing+=(nginx)

if ((${#missing[@]} > 0)); then
  install_packages "${missing[*]}"
  for tool in curl cc python3 openssl; do
    has "$tool" || die "$tool is still missing after installing ${missing[*]}"
  done
  has_postgresql || die "initdb is still missing after installing ${missing[*]}"
  has_nginx || die "nginx is still missing after installing ${missing[*]}"
fi
check_rust
say "curl, a C compiler, Python, Chromium, PostgreSQL, nginx and Rust are here"
