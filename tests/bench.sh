#!/bin/sh
# The figures of `make bench`, in instructions: QEMU's -icount makes guest time count executed instructions, so they
# repeat exactly and do not depend on this machine's speed. What real Xen can do beside us is measured in the same run,
# by the same kernel binary. Bars are those the project set itself; a figure over its bar fails the run.
# The parts are tests/bench/*.sh; words on the command line run only those of that name. `make bench-xen` runs linux, calls, blocks, nets, netwire and passed,
# apart from the others because real Xen with a Linux dom0 under -icount takes minutes.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/bench/lib.sh
BUILD=$BUILD tests/xen/root.sh

for part in ${*:-price selftest sites domains many bounce shares netshare zerocopy vf streams pair iospace size}; do
	. "tests/bench/$part.sh"
done
[ $failed = 0 ] || echo "a bar was missed"
exit $failed
