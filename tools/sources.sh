#!/bin/sh
# Fetches the libraries that unpack/ and kernel/net/ are made of, from Debian's source packages: sources.sh FOLDER.
# Taken unchanged: zlib's inflate, XZ Embedded (in busybox's sources; public domain), zstd's and lz4's decoders, and lwIP (BSD
# license). Nothing of the machine is changed: the lists of source packages are read into FOLDER.
set -eu
mkdir -p "$1"
out=$(cd "$1" && pwd)
[ -e "$out/.ready" ] && [ -e "$out/lwip" ] && exit 0
echo "amphi: fetching the sources of zlib, busybox (XZ Embedded), libzstd, lz4 and lwip from Debian"
mkdir -p "$out/apt/parts" "$out/apt/lists/partial" "$out/apt/cache/archives/partial" "$out/debs"
for f in /etc/apt/sources.list.d/*.sources; do
	[ -e "$f" ] && sed 's/^Types:.*/Types: deb-src/' "$f" >"$out/apt/parts/${f##*/}"
done
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
	[ -e "$f" ] && sed -n 's/^deb /deb-src /p' "$f" >"$out/apt/parts/$(basename "$f" .list).list"
done
cat >"$out/apt/conf" <<C
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$out/apt/parts";
Dir::State::lists "$out/apt/lists";
Dir::Cache "$out/apt/cache";
APT::Sandbox::User "$(id -un)";
C
export APT_CONFIG="$out/apt/conf"
{ apt-get -qq update && (cd "$out/debs" && apt-get -qq source --download-only zlib busybox libzstd lz4 lwip); } >"$out/log" 2>&1 || {
	cat "$out/log" >&2; echo "amphi: cannot fetch the sources of zlib, busybox, libzstd, lz4 and lwip" >&2; exit 1; }
unpack() { # unpack PACKAGE FOLDER NAME: what FOLDER of its sources holds (empty: all) becomes NAME; the rest is left in x
	rm -rf "$out/x" "${out:?}/$3"
	mkdir "$out/x"
	tar -xf "$(ls "$out/debs/$1"_*.orig.tar.?z* | grep -v asc)" -C "$out/x"
	mv "$out/x"/*/"$2" "$out/$3"
}
unpack zlib "" zlib
unpack busybox archival/libarchive/unxz unxz
unpack lz4 lib lz4
unpack lwip src lwip
unpack libzstd lib zstd
cp "$out"/x/*/build/single_file_libs/zstddeclib-in.c "$out/zstd/"
rm -rf "$out/apt" "$out/debs" "$out/x" "$out/log"
touch "$out/.ready"
