#!/bin/sh
# readme_test: the commands of README.md that lend an NVMe to a guest behind an emulated VT-d, word by word, and the domain files of examples/.
# Why: they are what a reader types first. Expected: the guest reads the whole disk by its own function, in an IO space of its own, and ends
# with 0; every example is a correct domain file; the hypervisor hears --hypervisor-args; too many words for QEMU are refused.
# timeout: 60
set -u
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "$*"; tail -n 40 "$work/log"; exit 1; }
for f in examples/*.cfg; do
	sed "s,^kernel = .*,kernel = \"$BUILD/amphi\",; /^ramdisk/d; s,target=build/[a-z]*/\([a-z]*\)[.]img,target=$work/\1," "$f" >"$work/$(basename "$f")"
done
truncate -s 1M "$work/disk" "$work/scratch"
for f in "$work"/*.cfg; do "$BUILD/amphi-tool" check "$f" >"$work/log" 2>&1 || fail "examples/$(basename "$f") is not correct"; done

commands=$(sed -n '/^    truncate .*lent[.]img$/s/^    //p; /^    build\/amphi-tool run --qemu-args/s/^    //p' README.md)
[ "$(echo "$commands" | wc -l)" = 2 ] || fail "README.md has not the two commands: $commands"
echo "$commands" | sed "s,build/lent,$work/lent,g; s,^build/,$BUILD/,; s,examples/,$work/,; s/amphi-tool run /&--timeout 50 --hypervisor-args iommu=required /" >"$work/commands"
sh -e "$work/commands" >"$work/log" 2>&1 || fail "the README's commands ended with $?"
grep -q "^\[guest\] @sha256 nvme0n1 $(sha256sum <"$work/lent.img" | cut -d' ' -f1)" "$work/log" || fail "the guest did not read the disk"
grep -q '^\[guest\] .*io-lazy' "$work/log" || fail "the device has no IO space"
grep -q '^\[hv\] .*iommu: interrupts remapped' "$work/log" || fail "no IOMMU"
"$BUILD/amphi-tool" run --qemu-args "$(printf -- '-S %.0s' $(seq 65))" "$work/pci.cfg" >"$work/log" 2>&1
[ $? = 2 ] && grep -q '64 words are the most' "$work/log" || fail "65 words for QEMU are not refused"
# Without its IOMMU: refused, by name.
sed "s/-device intel-iommu,intremap=on//; s/iommu=required/iommu=on/" "$work/commands" >"$work/without"
sh -e "$work/without" >"$work/log" 2>&1
[ $? = 1 ] && grep -q 'guest: pci 00:10[.]0: ' "$work/log" || fail "without an IOMMU the device was not refused"
echo "the README's machine: an NVMe lent behind VT-d, and refused without: $(grep -o 'guest: pci 00:10[.]0: .*' "$work/log" | head -n 1)"
