# linux.sh: one Linux guest, from power-on to its /init and through work that is hard on a hypervisor: on amphi-hv with our
# service domain, and on real Xen with a Linux dom0 and xl. The same vmlinuz and the same initial ramdisk, which is one program
# (linux/init.c) that marks the moments; instructions are counted by QEMU (count_plugin.c), idle time not among them.
# The Linux dom0 is as small as one can be that still works: the same vmlinuz, busybox, xenstored, xenconsoled and xl, and
# 320 MiB, since xl unpacks the guest's kernel there (with 256 it is killed for want of memory).
# Taken in by tests/bench.sh; lib.sh has the words.
"${CC:-gcc}" -O2 -shared -fPIC -o "$work/count.so" tests/bench/count_plugin.c
"${CC:-gcc}" -O2 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -static -nostdlib -fno-pic -no-pie -Wl,--build-id=none -o "$work/init" tests/bench/linux/init.c
xen_dir=$BUILD/xen
vmlinuz=$xen_dir/x/boot/vmlinuz-$(cat "$xen_dir/kver")
mkdir -p "$work/root" && cp "$work/init" "$work/root/init"
(cd "$work/root" && echo init | cpio --quiet -o -H newc -R 0:0) >"$work/initrd"
guest_words="console=hvc0 quiet tsc=reliable"

# Ours: a guest of 128 MiB.
. tests/lib/archive.sh
ar_file /vmlinuz "$vmlinuz"
ar_file /initrd "$work/initrd"
ar_domain linux <<R
name="linux"
kernel="/vmlinuz"
ramdisk="/initrd"
memory=128
cmdline="$guest_words"
R
ar_pack "$work/archive"
in_qemu 300 "$work/ours" -m 512 -kernel "$BUILD/amphi-hv" -append dom0_mem=28M \
	-initrd "$BUILD/amphi role=service do=\"stats\",$work/archive" -plugin "$work/count.so"

# Real Xen: the guest by xl, as a user would.
mkdir -p "$work/dom0/test"
cp "$vmlinuz" "$work/dom0/test/vmlinuz"
cp "$work/initrd" "$work/dom0/test/initrd"
cat >"$work/dom0/test/linux.cfg" <<R
name="linux"
kernel="/test/vmlinuz"
ramdisk="/test/initrd"
memory=128
cmdline="$guest_words"
tsc_mode="native"
on_poweroff="destroy"
on_crash="destroy"
R
cat >"$work/dom0/test/run.sh" <<'R'
xl create /test/linux.cfg || exit 1
xl info | sed -n 's/^\(total_memory\|free_memory\) *: /xen-info \1=/p'
xl list | awk '$1 == "linux" { print "xen-info guest_memory=" $3 }'
while xl domid linux >/dev/null 2>&1; do sleep 1; done
cat /var/log/xen/console/guest-linux.log
R
(cd "$work/dom0" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0) >"$work/test.cpio"
cat "$xen_dir/dom0.cpio" "$work/test.cpio" >"$work/dom0.initrd"
in_qemu 900 "$work/xen" -m 640 -kernel "$xen_dir/xen" \
	-append "console=com1 com1=115200 spec-ctrl=eager-fpu dom0_mem=320M,max:320M" \
	-initrd "$vmlinuz console=hvc0 quiet panic=1,$work/dom0.initrd" -plugin "$work/count.so"

at() { sed -n "s/^mark=$2 at=\([0-9]*\) .*/\1/p" "$work/$1.err" | head -n 1; }
for which in ours xen; do
	[ "$(at $which 3)" ] || { tail -n 40 "$work/$which"; echo "bench: the Linux guest did not end well ($which)"; exit 1; }
done
figure "power-on to the Linux guest's /init: amphi-hv, our service domain" "$(at ours 1)" $(($(at xen 1) / 2))
figure "  real Xen 4.17, Linux dom0, xl" "$(at xen 1)"
figure "150 processes and 300 mappings of 64 pages in the guest: amphi-hv" $(($(at ours 3) - $(at ours 2))) \
	$((($(at xen 3) - $(at xen 2)) * 105 / 100))
figure "  real Xen" $(($(at xen 3) - $(at xen 2)))
hv_kib=$(get "$work/ours" '^\[hv\] .*hypercalls' memory_kib)
service_kib=$(get "$work/ours" '^@stat .*memory_kib' memory_kib)
figure "memory outside the guest while it runs, KiB: hypervisor and service domain" $((hv_kib + service_kib)) 40960
xen_mib() { sed -n "s/^xen-info $1=//p" "$work/xen" | tr -d '\r' | head -n 1; }
figure "  real Xen and its Linux dom0" $((($(xen_mib total_memory) - $(xen_mib free_memory) - $(xen_mib guest_memory)) * 1024))
