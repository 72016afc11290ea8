# blocks.sh: what a disk that another domain serves costs, with each half of the split driver ours or Linux's: instructions of
# all domains and the hypervisor together, idle time not among them (count_plugin.c), for the same load on a RAM disk of 4 MiB:
# brd in a Linux dom0, ram0 in our service domain. A Linux guest runs linux/load.c, ours its own `bench`.
#
#   Linux with Linux           real Xen 4.17, Linux dom0, Linux guest                  the peer
#   our back, Linux's front    real Xen, our service domain as first domain, the same Linux guest
#   our front, Linux's back    real Xen, Linux dom0, our guest by xl
#   ours with ours             amphi-hv, our service domain, our guest
#
# "whole" is everything from the program's call to its completion, the device's copy of each page included (512 instructions,
# docs/decisions/0005). "split" is that without what the same load takes on a RAM disk in the guest itself: without the program's
# way through its kernel and without the device. A guest that is ours has no system calls on that way, so its rows are held
# to "split", which gives it nothing for that; rows of the same Linux guest are held to "whole", device and all, at 4 KiB, and to
# "split" at 1 MiB. There the guest alone, with what Xen does for its own threads, and the device's copy come to 0.80 of Linux with
# Linux (read) and 0.78 (write), whoever serves it: docs/decisions/0015. Its "whole" is shown for what it is.
# Taken in by tests/bench.sh; lib.sh has the words.
here=tests/xen xen_dir=$BUILD/xen
. tests/xen/linux.sh
"${CC:-gcc}" -O2 -shared -fPIC -o "$work/count.so" tests/bench/count_plugin.c
"${CC:-gcc}" -O2 -Wall -Wextra -Werror -static -o "$work/load" tests/bench/linux/load.c
brd=$linux_modules/kernel/drivers/block/brd.ko
kinds="random32 random1 read write"
random32=20000 random1=5000 read=300 write=300

linux_programs="$work/load $brd"
linux_initrd "$work/linux.initrd" <<R
insmod /bin/brd.ko rd_nr=1 rd_size=4096
dd if=/dev/zero of=/dev/ram0 bs=1M count=4 2>/dev/null
sleep 2
for d in xvda ram0; do
	load /dev/\$d random 4096 32 $random32 && load /dev/\$d random 4096 1 $random1 &&
		load /dev/\$d read 1048576 1 $read && load /dev/\$d write 1048576 1 $write && echo "LOAD \$d done"
done
poweroff -f
R
loads="ramdisk local0 4096"
for d in xvda local0; do
	loads="$loads; bench random $d 32 $random32; bench random $d 1 $random1; bench read $d 1 $read 1024; bench write $d 1 $write 1024"
done

archive_of() { # archive_of linux|amphi: our service domain with that guest on ram0
	ar_new
	ar_file /linux "$xen_dir/vmlinux"
	ar_file /initrd "$work/linux.initrd"
	ar_file /amphi "$BUILD/amphi"
	case $1 in
	linux) linux_domain guest '' ;;
	*) printf 'name = "guest"\nkernel = "/amphi"\ncmdline = '"'role=guest do=\"$loads; stats; halt\"'"'\n' | ar_domain guest ;;
	esac
	printf 'memory = 128\ndisk = ["ram0,raw,xvda,rw"]\n' >>"$work/ar/domains/guest.cfg"
	sed -i 's,/vmlinux,/linux,' "$work/ar/domains/guest.cfg"
	ar_pack "$work/archive"
}

xen_words="console=com1 com1=115200 spec-ctrl=eager-fpu"
run_ours() { # run_ours NAME HV WORDS GUEST: our service domain is the first
	archive_of "$4"
	in_qemu 900 "$work/$1" -m 768 -kernel "$2" -append "$3" \
		-initrd "$BUILD/amphi role=service do=\"stats\",$work/archive" -plugin "$work/count.so"
}

run_linux_dom0() { # Linux's back, for Linux's front and then for ours
	mkdir -p "$work/dom0/test"
	cp "$xen_dir/vmlinux" "$brd" "$BUILD/amphi" "$work/linux.initrd" "$work/dom0/test/"
	disk='disk=["vdev=xvda,format=raw,backendtype=phy,access=rw,target=/dev/ram0"]'
	common='memory=128
tsc_mode="native"
on_poweroff="destroy"
on_crash="destroy"'
	cat >"$work/dom0/test/front.cfg" <<-R
	name="front"
	kernel="/test/vmlinux"
	ramdisk="/test/linux.initrd"
	cmdline="console=hvc0 loglevel=5 tsc=reliable"
	$disk
	$common
	R
	cat >"$work/dom0/test/ours.cfg" <<-R
	name="ours"
	kernel="/test/amphi"
	cmdline='role=guest do="$loads; stats; halt"'
	$disk
	$common
	R
	cat >"$work/dom0/test/run.sh" <<-'R'
	insmod /test/brd.ko rd_nr=1 rd_size=4096
	dd if=/dev/zero of=/dev/ram0 bs=1M count=4 2>/dev/null
	for d in front ours; do
		xl create /test/$d.cfg || exit 1
		while xl domid $d >/dev/null 2>&1; do sleep 1; done
		sed "s/^/[$d] /" /var/log/xen/console/guest-$d.log
	done
	R
	(cd "$work/dom0" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0) >"$work/test.cpio"
	cat "$xen_dir/dom0.cpio" "$work/test.cpio" >"$work/dom0.initrd"
	in_qemu 1200 "$work/linux-back" -m 1024 -kernel "$xen_dir/xen" -append "$xen_words dom0_mem=640M,max:640M" \
		-initrd "$xen_dir/vmlinux console=hvc0 quiet panic=1,$work/dom0.initrd" -plugin "$work/count.so"
}

# The spans between marks, a line for each of eight loads, of the first eight or the next: instructions and hypercalls. On xvda
# the four loads, then the same on the disk in the guest.
rows() { # rows NAME LOG FIRST: makes $work/NAME.KIND.whole, .split and .hypercalls, each per transfer
	sed -n 's/^mark=1\([67]\) at=\([0-9]*\) hypercalls=\([0-9]*\)$/\1 \2 \3/p' "$2.err" | awk -v first="$3" '
		$1 == 6 { at = $2; calls = $3 }
		$1 == 7 && n++ >= first && n <= first + 8 { print $2 - at, $3 - calls }' >"$work/$1.spans"
	[ "$(wc -l <"$work/$1.spans")" = 8 ] || { tail -n 40 "$2"; echo "bench: the loads did not end well ($1)"; exit 1; }
	i=0
	for kind in $kinds; do
		i=$((i + 1))
		eval "n=\$$kind"
		awk -v i=$i -v n="$n" -v to="$work/$1.$kind" '
			NR == i { there = $1; calls = $2 }
			NR == i + 4 { printf "%d\n", there / n >(to ".whole"); printf "%d\n", (there - $1) / n >(to ".split")
				      printf "%.3f\n", calls / n >(to ".hypercalls") }' "$work/$1.spans"
	done
}
of() { cat "$work/$1.$kind.$2"; } # of NAME PART
share() { echo $(($(of linux "$1") * $2 / 100)); }

run_linux_dom0
rows linux "$work/linux-back" 0
rows front "$work/linux-back" 8
run_ours back "$xen_dir/xen" "$xen_words dom0_mem=300M,max:300M" linux
rows back "$work/back" 0
run_ours both "$BUILD/amphi-hv" dom0_mem=300M amphi
rows both "$work/both" 0

echo "disk of another domain, instructions of all domains and the hypervisor for each transfer (blocks.sh says how it is counted)"
for kind in $kinds; do
	percent=50
	case $kind in
	random32) echo "4 KiB random read, 32 in flight" ;;
	random1) echo "4 KiB random read, one at a time: from submission to completion"; percent=60 ;;
	*) echo "1 MiB sequential $kind, one at a time" ;;
	esac
	figure "  Linux with Linux, real Xen: split" "$(of linux split)"
	figure "  ours with ours, amphi-hv: split" "$(of both split)" "$(share split $percent)"
	figure "  our front, Linux's back, real Xen: split" "$(of front split)" "$(share split 80)"
	figure "  Linux with Linux, real Xen: whole" "$(of linux whole)"
	if [ ${kind#random} != $kind ]; then
		figure "  Linux's front, our back, real Xen: whole" "$(of back whole)" "$(share whole 80)"
	else
		figure "  Linux's front, our back, real Xen: split" "$(of back split)" "$(share split 80)"
		figure "  Linux's front, our back, real Xen: whole" "$(of back whole)"
	fi
	figure "  hypercalls: Linux with Linux" "$(of linux hypercalls)"
	figure "  hypercalls: ours with ours, both domains" "$(of both hypercalls)" "$([ $kind != random32 ] || echo 0.1)"
done
deep="@bench random dev=xvda depth=32 "
figure "notifications, both ways, for each 4 KiB with 32 in flight: ours with ours" "$(awk -v n=$random32 -v s="$(get "$work/both" "$deep" events_sent)" \
	-v r="$(get "$work/both" "$deep" events_received)" 'BEGIN { printf "%.3f", (s + r) / n }')" 0.1
