#!/bin/sh
# docs.sh: writes the generated pages: docs/abi.md from hypervisor/hypercalls.def, docs/tour.md by tour.sh.
#
# Called by `make docs`; with --check it writes nothing and fails when a page is not what it would be
# written as. For the ABI it runs the C preprocessor over the table, so numbers and names are those the
# compiler sees, and turns the rows into Markdown with awk. It does not know what the calls do: notes
# come from the table.
set -eu
cd "$(dirname "$0")/.."
CC=${CC:-gcc}

# One row a line: kind, number, name, further fields, separated by "@".
rows() {
	"$CC" -E -P -Iinclude -Ihypervisor -x c - <<-'END' | sed -n 's/^ *ROW *//p'
	#include <amphi/xen.h>
	#define CALL(name, args, mark, note) ROW call @ __HYPERVISOR_##name @ #name @ mark @ note
	#define REFUSED(name, note) ROW call @ __HYPERVISOR_##name @ #name @ refused @ note
	#define SUB(call, name, mark, note) ROW sub @ 0 @ #name @ mark @ note
	#include "hypercalls.def"
	END
}

abi() {
	cat <<-'END'
	# Xen's PV ABI on amphi-hv

	Which hypercalls the hypervisor has. Made by `make docs` from `hypervisor/hypercalls.def`, the
	table the hypervisor itself is compiled from: change that, not this page. *Complete* is all that
	a paravirtual guest can ask of the call, *partial* says in its note what is missing, *refused*
	answers `-ENOSYS` unless the note says otherwise. Calls that are not listed are refused.

	| no. | call | | note |
	|--:|---|---|---|
	END
	rows | awk -F ' *@ *' '
		{ gsub(/"/, "") }
		$1 == "call" { printf "| %s | **%s** | %s | %s |\n", $2, $3, $4, $5 }
		$1 == "sub" { printf "| | %s | %s | %s |\n", $3, $4, $5 }'
	rows | awk -F ' *@ *' '
		$1 == "call" { calls[$4]++ }
		$1 == "sub" { subs[$4]++ }
		END {
			printf "\n%d calls complete, %d partial, %d refused; ", calls["complete"],
				calls["partial"], calls["refused"]
			printf "%d sub-calls complete, %d partial, %d refused.\n", subs["complete"],
				subs["partial"], subs["refused"]
		}'
}

# page NAME COMMAND: the command's output is the page, or has to be it already.
page() {
	if [ "$check" ]; then
		"$2" | diff -u "docs/$1" - || {
			echo "docs/$1 is not what tools/docs.sh writes: run make docs" >&2
			stale=1
		}
	else
		"$2" >"docs/$1.new" && mv "docs/$1.new" "docs/$1"
	fi
}

[ "${1:-}" = --check ] && check=1 || check=
stale=0
page abi.md abi
page tour.md tools/tour.sh
exit $stale
