#!/bin/sh
# Fetches the decoders that unpack/ is made of, from Debian's source packages: sources.sh FOLDER.
# Taken unchanged: zlib's inflate, XZ Embedded (in busybox's sources; public domain), zstd's and lz4's decoders. Nothing of
# the machine is changed: the lists of source packages are read into FOLDER.
set -eu
mkdir -p "$1"
out=$(cd "$1" && pwd)
[ -e "$out/.ready" ] && exit 0
echo "amphi: fetching the sources of zlib, busybox (XZ Embedded), libzstd and lz4 from Debian"
mkdir -p "$out/apt/parts" "$out/apt/lists/partial" "$out/debs"
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
APT::Sandbox::User "$(id -un)";
C
export APT_CONFIG="$out/apt/conf"
apt-get -qq update
(cd "$out/debs" && apt-get -qq source --download-only zlib busybox libzstd lz4)
unpack() { # unpack PACKAGE PATH NAME: what PATH holds there becomes NAME
	mkdir -p "$out/x"
	tar -xf "$(ls "$out/debs/$1"_*.orig.tar.?z*  | grep -v asc)" -C "$out/x"
	rm -rf "${out:?}/$3"
	mv "$out/x"/*/"$2" "$out/$3"
}
unpack busybox archival/libarchive/unxz unxz; rm -rf "$out/x"
unpack lz4 lib lz4; rm -rf "$out/x"
unpack libzstd lib zstd; cp "$out"/x/*/build/single_file_libs/zstddeclib-in.c "$out/zstd/"; rm -rf "$out/x"
unpack zlib . zlib 2>/dev/null || { mv "$out"/x/* "$out/zlib"; rm -rf "$out/x"; }
rm -rf "$out/apt" "$out/debs"
touch "$out/.ready"
