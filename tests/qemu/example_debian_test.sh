#!/bin/sh
# example_debian_test: `CHECK=1 make example-debian`, what a person gets who tries a real Debian: the disk is made from
# Debian's packages when it is not there, boots on amphi-hv with Debian's vmlinuz and ramdisk as they are, and is logged in to,
# used, and powered off. Why: an example that does not work is worse than none; and init, udev, getty, PAM and a journalled
# root on two vCPUs are more of Linux than any test of ours has. Expected: all that, the file system clean, no error in dmesg.
# Skipped where neither root nor sudo can make the disk.
# timeout: 900
BUILD=${BUILD:-build}
[ "$(id -u)" = 0 ] || command -v sudo >/dev/null || { echo "making a Debian disk needs root"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CHECK=1 tools/debian.sh >"$work/said" 2>&1 || { tail -n 60 "$work/said"; exit 1; }
grep -q 'it runs on xen, Debian [0-9.]*, 2 vCPUs, root /dev/xvda ext4' "$work/said" || { cat "$work/said"; exit 1; }
sed -n '/err,warn/,/^dmesg end/p' "$work/said" | grep -iE 'error|bug|warning|fail' && exit 1
tail -n 1 "$work/said"
