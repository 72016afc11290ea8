#!/bin/sh
# build.sh SOURCE OUTPUT: builds one test guest (see pv.h) with the compiler alone, linked at 1 MiB in a
# domain whose memory is mapped at 0. Called by tests/qemu/hv_*_test.sh; not by the Makefile, since a
# guest is nothing without its test.
set -eu
cd "$(dirname "$0")/../.."
${CC:-gcc} -std=gnu11 -O2 -Wall -Wextra -Werror -Wno-unused-parameter -Iinclude -ffreestanding \
	-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -fno-pic -no-pie \
	-mno-red-zone -mgeneral-regs-only -mcmodel=small -static -nostdlib \
	-Wl,--build-id=none,-Ttext=0x100000,-z,max-page-size=4096,-z,noexecstack -o "$2" "$1"
