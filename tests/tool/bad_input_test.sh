#!/bin/sh
# bad_input_test: amphi-tool and wrong input. Why: what is wrong must be said with the name of the thing,
# before a machine is started. Expected: for each case the exit status and a message that names it; for a
# correct file "ok" and 0.
set -u
cd "$(dirname "$0")/../.."
tool=$BUILD/amphi-tool
t=$(mktemp -d); trap 'chmod -R u+rwx "$t"; rm -rf "$t"' EXIT
chmod 755 "$t"
truncate -s 1M "$t/disk.img"
: >"$t/empty.img"
failed=0

config() { # config FILE LINE...: a correct domain file, then the lines
	f=$t/$1; shift
	printf 'name = "g"\nkernel = "%s"\nmemory = 8\n' "$BUILD/amphi" >"$f"
	for line; do printf '%s\n' "$line" >>"$f"; done
}
case_is() { # case_is NAME STATUS REGEX COMMAND...: runs it
	name=$1 status=$2 regex=$3; shift 3
	"$@" >"$t/out" 2>&1
	got=$?
	if [ $got != "$status" ] || ! grep -qE -- "$regex" "$t/out"; then
		echo "$name: status $got (wanted $status), /$regex/ in:"; cat "$t/out"; failed=1
	fi
}

config good.cfg
case_is "a correct file" 0 "good.cfg: domain g: ok" "$tool" check "$t/good.cfg"
config key.cfg 'memroy = 3'
case_is "an unknown key" 3 "key.cfg:4:1: error: .*memroy" "$tool" check "$t/key.cfg"
config type.cfg 'vcpus = "two"'
case_is "a wrong type" 3 "type.cfg:4:[0-9]+: error: .*vcpus" "$tool" check "$t/type.cfg"
config syntax.cfg 'disk = ["a'
case_is "a string without end" 3 "syntax.cfg:4:[0-9]+: error" "$tool" check "$t/syntax.cfg"
printf 'name = "g"\nmemory = 8\n' >"$t/nokernel.cfg"
case_is "no kernel" 3 "nokernel.cfg:.*error: .*kernel" "$tool" check "$t/nokernel.cfg"
sed 's,^kernel.*,kernel = "/nowhere/kernel",' "$t/good.cfg" >"$t/lost.cfg"
case_is "a kernel that is not there" 3 "kernel '/nowhere/kernel': No such file" "$tool" check "$t/lost.cfg"
sed "s,^kernel.*,kernel = \"$t/disk.img\"," "$t/good.cfg" >"$t/noelf.cfg"
case_is "a kernel that is no ELF image" 3 "kernel '.*disk.img': .*ELF" "$tool" check "$t/noelf.cfg"
sed "s,^kernel.*,kernel = \"/bin/true\"," "$t/good.cfg" >"$t/notes.cfg"
case_is "an ELF image without Xen's notes" 3 "kernel '/bin/true': .*[nN]ote" "$tool" check "$t/notes.cfg"
sed 's,^memory.*,memory = 1,' "$t/good.cfg" >"$t/small.cfg"
case_is "too little memory" 3 "small.cfg:3:[0-9]+: error: .*memory" "$tool" check "$t/small.cfg"
config noimage.cfg 'disk = ["format=raw,vdev=xvda,access=ro,target=/nowhere/disk.img"]'
case_is "an image that is not there" 3 "disk xvda: cannot read '/nowhere/disk.img': No such file" "$tool" check "$t/noimage.cfg"
config empty.cfg "disk = [\"format=raw,vdev=xvda,access=ro,target=$t/empty.img\"]"
case_is "an empty image" 3 "disk xvda: '.*empty.img' is empty" "$tool" check "$t/empty.cfg"
config folder.cfg "disk = [\"format=raw,vdev=xvda,access=ro,target=$t\"]"
case_is "a folder as an image" 3 "disk xvda: .*'$t'" "$tool" check "$t/folder.cfg"
config twice.cfg "disk = [\"$t/disk.img,raw,xvda,rw\", \"$t/disk.img,raw,xvdb,ro\"]"
case_is "an image written by one, used by another" 3 "used twice" "$tool" check "$t/twice.cfg"
config format.cfg "disk = [\"$t/disk.img,qcow2,xvda,ro\"]"
case_is "a format we do not read" 3 "format.cfg:4:[0-9]+: error: .*qcow2" "$tool" check "$t/format.cfg"
case_is "two domains of one name" 3 "domain name 'g' is already that of" "$tool" check "$t/good.cfg" "$t/good.cfg"
case_is "a domain file that is not there" 3 "cannot read .*absent.cfg" "$tool" check "$t/absent.cfg"
case_is "no command" 2 "usage:" "$tool"
case_is "no file" 2 "no domain file" "$tool" run
case_is "a number that is none" 2 "timeout: 'soon'" "$tool" run --timeout soon "$t/good.cfg"
case_is "less memory than the domains need" 3 "mem-total 16: the domains need" "$tool" run --mem-total 16 "$t/good.cfg"
case_is "QEMU missing" 4 "qemu-absent is not installed: .*qemu-system-x86" \
	env AMPHI_QEMU=qemu-absent "$tool" run --timeout 5 "$t/good.cfg"
case_is "a seed that is none" 2 "'-1' is not a seed" "$tool" verify-pattern "$t/disk.img" -1
chmod 000 "$t/disk.img"
config secret.cfg "disk = [\"$t/disk.img,raw,xvda,ro\"]"
cp "$tool" "$t/tool"; cp "$BUILD/amphi" "$t/amphi"; chmod 755 "$t/tool"; chmod 644 "$t"/*.cfg "$t/amphi"
sed -i "s,^kernel.*,kernel = \"$t/amphi\"," "$t/secret.cfg"
as_nobody=
[ "$(id -u)" != 0 ] || as_nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
# shellcheck disable=SC2086
case_is "an image we may not read" 3 "cannot read '.*disk.img': Permission denied" $as_nobody "$t/tool" check "$t/secret.cfg"
[ $failed = 0 ] && echo "every wrong input is named"
exit $failed
