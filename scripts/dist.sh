#!/usr/bin/env bash
# Packs a binary for people who have neither cargo nor pip: stripped, with shell completions, man pages and licenses, in
# an archive with its checksum, and tries what it packed.
#
#   scripts/dist.sh target/release/serin dist
set -euo pipefail

fail() {
  printf 'dist: %s\n' "$*" >&2
  exit 1
}

(($# == 2)) || fail "give the binary and the folder: scripts/dist.sh target/release/serin dist"
binary=$1 out=$2
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[[ -x $binary ]] || fail "$binary: no such program; build it with make build"
version=$("$binary" --version | awk '{ print $2 }')
name=serin-$version-$(rustc -vV | sed -n 's/^host: //p')

mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/$name"
strip -o "$work/$name/serin" "$binary"
"$work/$name/serin" completions "$work/$name/share" >/dev/null
cp "$top"/{LICENSE-MIT,LICENSE-APACHE,README.md,CHANGELOG.md} "$work/$name"
# The same content gives the same bytes: sorted names, no owner, the time of the commit.
time=$(git -C "$top" log -1 --format=%ct 2>/dev/null || echo 0)
tar --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner -C "$work" -c "$name" |
  gzip --no-name >"$out/$name.tar.gz"

cd "$out"
files=(*.tar.gz)
for wheel in *.whl; do [[ -f $wheel ]] && files+=("$wheel"); done
sha256sum "${files[@]}" >SHA256SUMS

sha256sum --check --quiet SHA256SUMS
mkdir "$work/try"
tar -C "$work/try" -xzf "$name.tar.gz"
[[ $("$work/try/$name/serin" --version) == "serin $version" ]] || fail "the packed binary does not run"
for file in bash-completion/completions/serin zsh/site-functions/_serin fish/vendor_completions.d/serin.fish man/man1/serin-deploy.1; do
  [[ -s $work/try/$name/share/$file ]] || fail "share/$file is missing"
done
needed=$(objdump -T "$work/try/$name/serin" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1)
echo "dist: $out/$name.tar.gz, $(stat -c %s "$name.tar.gz") bytes; needs ${needed/_/ } or newer"
