#!/bin/sh
# The figures of `make bench-xen`: a Linux guest and the hypervisor's calls on amphi-hv and on real Xen, side by side, in
# instructions. The parts are tests/bench/linux.sh and calls.sh; a word on the command line runs only the one of that name.
# Apart from `make bench` because real Xen with a Linux dom0 under -icount takes minutes.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/bench/lib.sh
BUILD=$BUILD tests/xen/root.sh

for part in ${*:-linux calls}; do
	. "tests/bench/$part.sh"
done
[ $failed = 0 ] || echo "a bar was missed"
exit $failed
