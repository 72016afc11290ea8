# archive.sh: makes a boot archive for role=service as amphi-tool does, from a test's own words; sourced by
# tests/{qemu,xen}/*_test.sh, which have set $work. ar_domain NAME takes the domain file on its standard
# input, ar_file PATH FILE names what a domain file calls PATH, ar_disk TARGET SERIAL a disk of the
# machine, ar_pack OUT writes the archive. ar_new begins another. Calls cpio(1).
ar_new() {
	rm -rf "$work/ar"
	mkdir -p "$work/ar/domains" "$work/ar/files"
	: >"$work/ar/manifest"
}
ar_domain() {
	cat >"$work/ar/domains/$1.cfg"
	echo "domain $1 domains/$1.cfg" >>"$work/ar/manifest"
}
ar_file() {
	n=$(ls "$work/ar/files" | wc -l)
	cp -L "$2" "$work/ar/files/$n"
	echo "file $1 files/$n" >>"$work/ar/manifest"
}
ar_disk() {
	echo "disk $1 serial=$2" >>"$work/ar/manifest"
}
ar_pack() {
	(cd "$work/ar" && find . -type f | sed 's,^\./,,' | cpio --quiet -o -H newc) >"$1"
}
ar_new
