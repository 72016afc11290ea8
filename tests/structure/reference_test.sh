#!/bin/sh
# reference_test: docs/amphi-hv.md and docs/amphi-tool.md name every boot word and debug key of the hypervisor, every option and command
# of amphi-tool, every key of domain files and of what stands in their lists, and none that is not there; documents name only tests and
# files that exist. docs/kernel.md is kernel_doc_test's. Why: who reads a reference takes it for complete. Expected: nothing missing,
# nothing too many.
set -u
cd "$(dirname "$0")/../.."
bad=0 total=0
# compare WHAT PAGE FEW: the words of $in_code and $in_page, each a line, are the same, and not fewer than FEW.
compare() {
	count=$(echo "$in_code" | sort -u | grep -c .)
	total=$((total + count))
	[ "$count" -ge "$3" ] || { echo "$1: the table in the code was not understood ($count found)"; bad=1; }
	for w in $in_code; do
		echo "$in_page" | grep -qxF -- "$w" || { echo "$2 does not name $1 '$w'"; bad=1; }
	done
	for w in $in_page; do
		echo "$in_code" | grep -qxF -- "$w" || { echo "$2 names $1 '$w', which is not there"; bad=1; }
	done
}
# section PAGE TITLE: the lines of one section.
section() { sed -n "/^## $2\$/,/^## /p" "$1"; }
# quoted: the first word of each `...` of the first column of tables on standard input.
quoted() { grep '^| `' | sed 's/^| \(.*\)/\1/; s/\\|/,/g; s/ | .*//' | grep -o '`[^`]*`' | sed 's/`//g; s/[ =].*//' | grep .; }
# fields: the words of {"...", name} rows in a C file.
fields() { grep -oE '\{"[a-z_-]+", set_' "$1" | sed 's/{"//; s/".*//'; }

hv=docs/amphi-hv.md tool=docs/amphi-tool.md
in_code=$(grep -ohE 'boot_option(_size|_number)?\("[a-z0-9_]+"' hypervisor/*.c | sed 's/.*("//; s/"//' | sort -u)
in_page=$(section $hv 'COMMAND LINE' | quoted | sort -u)
compare 'boot word' $hv 8
in_page=$(sed -n '/^} options\[\] = {/,/^};/p' hypervisor/boot_option.c | grep -oE '\{"[a-z0-9_]+"' | tr -d '{"')
compare 'boot word' hypervisor/boot_option.c 8
in_code=$(printf 'h\n?\n'; sed -n '/^} keys\[\] = {/,/^};/p' hypervisor/keys.c | grep -oE "\{'.'" | cut -c3)
in_page=$(section $hv 'DEBUG KEYS' | quoted)
compare 'debug key' $hv 6

in_code=$(sed -n '/long_options\[\] = {/,/^};\|NULL, 0, NULL/p' tools/amphi-tool/main.c | grep -oE '\{"[a-z-]+"' | tr -d '{"' | sed 's/^/--/')
in_code=$(printf '%s\n' "$in_code" | grep -vx -- --output) # said as -o DISK
in_page=$(grep -E '^`--' $tool | grep -oE '`--[a-z-]+' | tr -d '`' | sort -u)
compare 'option' $tool 15
in_code=$(sed -n 's/^ *{{"\([a-z-]*\)", "[^"]*".*/\1/p' control/ctl_commands.c)
in_page=$(section $tool CONTROL | sed '/^| of | keys/,$d' | quoted | sort -u)
compare 'command' $tool 25

in_code=$(sed -n 's/^CONFIG_KEY(\([a-z0-9_]*\),.*/\1/p' control/config_keys.def)
in_page=$(section $tool 'DOMAIN FILES' | sed '/^| option | here/,$d' | quoted
	section $tool 'DOMAIN FILES' | sed -n '/^Known to xl/,/^$/p' | grep -o '`[a-z0-9_]*`' | tr -d '`')
compare 'domain file key' $tool 60
for list in disk vif pci; do
	for w in $(fields control/config_$list.c); do
		total=$((total + 1))
		section $tool 'DOMAIN FILES' | grep -qE "\`$w[=\`]" || { echo "$tool does not name '$w' of $list="; bad=1; }
	done
done

pages="README.md CHANGELOG.md $(ls docs/*.md docs/decisions/*.md | grep -v tour.md)"
# shellcheck disable=SC2086
for t in $(grep -ohE '\b[a-z0-9_]+_(test|fuzz)\b' $pages | sort -u); do
	total=$((total + 1))
	ls tests/*/"$t".* 2>/dev/null | grep -q . || { echo "no test '$t'; named in: $(grep -lw "$t" $pages | tr '\n' ' ')"; bad=1; }
done
# shellcheck disable=SC2086
for f in $(grep -ohE '`(control|kernel|hypervisor|iommu|drivers-[a-z]+|protocol|lib|pvops|hypercall|tools|tests|examples|include|docs)/[A-Za-z0-9_./-]+`' $pages | tr -d '`' | sort -u); do
	case $f in
	control/shutdown | control/sysrq | control/blktrace) continue ;; # nodes of the store
	esac
	total=$((total + 1))
	[ -e "$f" ] || [ -e "${f%:*}" ] || { echo "no file '$f'; named in: $(grep -lF "$f" $pages | tr '\n' ' ')"; bad=1; }
done
[ $bad = 0 ] && echo "$total names, all of them where they should be"
exit $bad
