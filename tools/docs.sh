#!/bin/sh
# docs.sh: writes the generated pages: docs/abi.md from hypervisor/hypercalls.def, docs/pvops.md from the tables of
# pvops by a program linked with them (pvops-doc), docs/tour.md by tour.sh.
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
	#include <amphi/iospace.h>
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

# One line "OPERATION KIND FUNCTION FILE" for each operation that a file of the kernel provides.
provided() {
	sed -nE 's/.*(PV_[a-z]+_[a-z0-9_]+), (PV_CALL|PV_HYPERCALL), \(void \*\)([a-z0-9_]+)\).*/\1 \2 \3/p
		s/.*provide\([A-Z_]+, (PV_[a-z]+_[a-z0-9_]+), \(void \*\)([a-z0-9_]+)\).*/\1 PV_CALL \2/p
		s/.*pvops_provide_lock_wait\((PV_[A-Z]+), ([a-z_]+), ([a-z_]+)\).*/PV_lock_wait \1 \2\nPV_lock_kick \1 \3\nPV_lock_queued_spin_lock_slowpath PV_CALL lock_slow_sleeping\nPV_lock_queued_spin_unlock PV_CALL lock_unlock_waking/p' \
		"$1" | sed "s,\$, $1,"
}

pvops() {
	cat <<-'END'
	# The pv operations

	Every privileged operation of the kernel, what it is on each platform, and what its sites in the text become.
	Made by `make docs` with the planner itself from `include/amphi/pvops.def` and the tables in `pvops/`, and from the
	calls of `pvops_provide()` in `kernel/`: change those, not this page. `pvops` at the prompt tells what they became
	on the machine at hand, `pvops verify` whether the text still is that.

	An instruction stands inline at its sites, filled up with prefixes that mean nothing (`2e`); a function is called
	directly from them. Before patching each site is a call through the table `pv_ops`. KVM and Xen PVH are as native
	where their column is empty. The class says what a site promises the compiler: *BARE* changes the flags alone,
	*THIN* rax too, *FULL* what any C call may, *JUMP* does not come back. *STORE*, *LOAD*, *AND*, *OR* and *INVLPG* are natively that
	one instruction, with the operands the compiler chooses for it, and keep all registers everywhere.

	| operation | C type | native | site, natively | KVM | Xen PVH | Xen PV | class |
	|---|---|---|---|---|---|---|---|
	END
	dir=$(mktemp -d)
	"$CC" -std=gnu11 -O1 -w -DAMPHI_HOST_TEST -Iinclude -I. -o "$dir/doc" tools/pvops-doc/pvops_doc.c \
		$(ls pvops/*.c | grep -v -e patch.c -e report.c) pvops/*.S hypercall/count.c hypercall/multicall.c -lcapstone &&
		for file in kernel/*.c; do provided "$file"; done | "$dir/doc"
	rm -rf "$dir"
	cat <<-'END'

	## What Linux has and this kernel has not

	Members of Linux's `struct pv_ops` that are not rows here, since a row without a caller would be untested code.

	| Linux | here |
	|---|---|
	| cpu.load_tr_desc | load_tr, with the selector |
	| cpu.write_idt_entry | load_idt, with the gates that change: it merges |
	| cpu.read_pmc | none: the kernel counts no events, and a PV domain may not |
	| mmu.write_cr2 | none: only a hypervisor with guests of its own has a use for it |
	| mmu.flush_tlb_one_user | flush_tlb_one: the kernel makes no global pages, so there is one kind |
	| mmu.pgd_alloc, pgd_free, alloc_/release_ pte, pmd, pud, p4d | alloc_pt and release_pt, with the level |
	| mmu.set_p4d, p4d_val, make_p4d | none: four levels |
	| mmu.pmd_val, pud_val, pgd_val and make_ of them | pte_val and make_pte: entries of all levels hold frames alike |
	| mmu.notify_page_enc_status_changed | none: no encrypted memory |
	END
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
page pvops.md pvops
page tour.md tools/tour.sh
exit $stale
