# lib.sh: boots Debian's real Xen under QEMU TCG for a test; sourced by tests/xen/*_test.sh.
# Two ways: xen_ours KERNEL ARGS [RAMDISK] [QEMU...] makes our kernel the first domain; xen_linux FOLDER
# [QEMU...] boots a Linux dom0 with Xen's tools that runs FOLDER/run.sh. Both print the serial line.
# XEN_IMAGE takes the place of real Xen, for what speaks its ABI. xen_begin ... is xen_ours in the background, its line in $work/log;
# xen_said waits for what it says, xen_types types to it, xen_end waits for its end.
# What is taken from the processor is what QEMU 7.2's TCG emulates wrongly under Xen: SMAP, RDTSCP and
# XSAVE under SVM, and lazy FPU switching; without that, data is silently corrupted. XEN_ARGS are more words
# for Xen itself, XEN_SECONDS how long xen_linux may take. Machines of several processors get $xen_several with them:
# Xen 4.17's own scheduler, credit2, leaves a vCPU in its queue now and then under TCG with several threads, with
# all processors idle, until something else wakes (docs/decisions/0008).
here=$(cd "$(dirname "$0")" && pwd)
xen_dir=${BUILD:-build}/xen
xen_several=sched=credit
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/root.sh" || { echo "cannot make the images for real Xen"; exit 1; }

xen_qemu() { # xen_qemu SECONDS MEM_MIB DOM0_MEM_MIB INITRD-ARGUMENT [QEMU...]
	limit=$(($1 * 3)) mem=$2 dom0=$3 initrd=$4; shift 4 # three times, for a machine that is busy with others
	timeout -k 5 "$limit" qemu-system-x86_64 -M q35 -accel tcg -cpu max,-smap,-smep,-rdtscp,-xsave -m "$mem" \
		-nodefaults -display none -no-reboot -serial stdio -monitor none -kernel "${XEN_IMAGE:-$xen_dir/xen}" \
		-append "console=com1 com1=115200 spec-ctrl=eager-fpu loglvl=warning guest_loglvl=warning dom0_mem=${dom0}M,max:${dom0}M ${XEN_ARGS:-}" \
		-initrd "$initrd" "$@" <"${XEN_KEYS:-/dev/null}" 2>&1 | stdbuf -oL tr -d '\r'
}

xen_ours() {
	kernel=$1 args=$2 ramdisk=${3:-}; shift; shift; [ $# = 0 ] || shift
	case $kernel in */amphi) args="dma_panic $args" ;; esac
	xen_qemu 60 256 "${DOM0_MIB:-64}" "$kernel $args${ramdisk:+,$ramdisk}" "$@"
}

xen_begin() {
	mkfifo "$work/keys"
	: >"$work/log"
	XEN_KEYS=$work/keys xen_ours "$@" >"$work/log" &
	xen=$!
	trap 'kill $xen 2>/dev/null; exec 3>&-; wait; rm -rf "$work"' EXIT
	exec 3>"$work/keys"
}

xen_said() { # xen_said REGEX [TIMES]: waits until it has said so many such lines
	until [ "$(grep -cE -- "$1" "$work/log")" -ge "${2:-1}" ]; do
		kill -0 $xen 2>/dev/null || { echo "ended without ${2:-1} of /$1/:"; tail -n 60 "$work/log"; exit 1; }
		sleep 0.1
	done
}

xen_types() { printf '%s\r' "$@" >&3; }

xen_end() {
	exec 3>&-
	wait $xen
}

xen_linux() {
	folder=$1; shift
	mkdir -p "$work/cpio/test"
	cp -rL "$folder/." "$work/cpio/test/"
	(cd "$work/cpio" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0) >"$work/test.cpio"
	cat "$xen_dir/dom0.cpio" "$work/test.cpio" >"$work/initrd"
	xen_qemu "${XEN_SECONDS:-150}" 1280 800 "$xen_dir/vmlinux console=hvc0 quiet panic=1,$work/initrd" "$@"
}

expect() { # expect FILE REGEX: the output has such a line
	grep -qE "$2" "$1" && return
	echo "expected /$2/ in:"; tail -n 60 "$1"; exit 1
}

# xen_domu NAME: a domU of our kernel, made by xl from the lines on standard input and those every such domain has: xvda is a
# file of random bytes, xvdb an empty one, both by Linux's xen-blkback. The output goes to $work/log. Its commands
# must read xvda, fill and verify xvdb and end with code 5; all that is checked here, and that xl saw it go.
xen_domu() {
	name=$1
	mkdir -p "$work/test"
	cp "$BUILD/amphi" "$work/test/"
	{
		echo "name=\"$name\""
		cat
		cat <<-'C'
		kernel="/test/amphi"
		tsc_mode="native"
		disk=["vdev=xvda,format=raw,backendtype=phy,access=ro,target=/tmp/a.img","vdev=xvdb,format=raw,backendtype=phy,access=rw,target=/tmp/b.img"]
		on_poweroff="destroy"
		on_crash="preserve"
		C
	} >"$work/test/domu.cfg"
	echo "name=$name" >"$work/test/run.sh"
	cat >>"$work/test/run.sh" <<-'R'
	dd if=/dev/urandom of=/tmp/a.img bs=64k count=48 2>/dev/null
	dd if=/dev/zero of=/tmp/b.img bs=64k count=16 2>/dev/null
	xl create /test/domu.cfg || exit 1
	until_ended $name
	sed "s/^/[$name] /" /var/log/xen/console/guest-$name.log
	echo "dom0-sha256 $(sha256sum </tmp/a.img | cut -d' ' -f1)"
	timeout 20 xl dmesg >/tmp/dmesg && echo "dom0-dmesg $(wc -l </tmp/dmesg) lines"
	! xl domid $name >/dev/null 2>&1
	R
	xen_linux "$work/test" >"$work/log"
	expect "$work/log" "^\[$name\] .*@ready"
	expect "$work/log" "@sha256 xvda $(sed -n 's/^dom0-sha256 //p' "$work/log")"
	expect "$work/log" '@verify xvdb ok'
	expect "$work/log" '@exit 5'
	expect "$work/log" '^dom0-dmesg [1-9]'
	expect "$work/log" '^TEST-EXIT: 0'
}
