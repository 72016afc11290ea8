#!/bin/sh
# symbols.sh IMAGE: prints the symbol table of a linked kernel as an assembly file.
#
# Called by the Makefile, twice: with /dev/null it prints an empty table for the first link, then
# with the image of that link the real one for the second. Read by kernel/symbols.c. The table lies
# in its own section behind everything else (kernel/kernel.lds), so that its size moves no function.
# Needs nm and awk.
set -eu
image=${1:?usage: symbols.sh IMAGE}
base=0xffffffff80000000

list() {
	[ "$image" = /dev/null ] || nm -n "$image" | awk '$2 ~ /^[tT]$/ && $3 !~ /^(\.|text_|image_)/ { print $1, $3 }'
}

list | awk -v base="$base" '
	BEGIN {
		print "\t.section .symbols,\"a\",@progbits"
		print "\t.globl symbol_count, symbol_addresses, symbol_name_offsets, symbol_names"
	}
	$1 != last {
		address[n] = $1
		name[n++] = $2
		last = $1
	}
	END {
		print "\t.balign 4\nsymbol_count:\n\t.long " n + 0
		print "symbol_addresses:"
		for (i = 0; i < n; i++)
			print "\t.long 0x" address[i] " - " base
		print "symbol_name_offsets:"
		for (i = 0; i < n; i++) {
			print "\t.long " offset + 0
			offset += length(name[i]) + 1
		}
		print "symbol_names:"
		for (i = 0; i < n; i++)
			print "\t.asciz \"" name[i] "\""
		print "\t.section .note.GNU-stack,\"\",@progbits"
	}'
