#!/bin/sh
# headers_test: every header compiles alone, under the warnings of the house. Why: a header that needs
# another to be included before it is not a contract. Expected: no output of the compiler.
set -u
cd "$(dirname "$0")/../.."
status=0
for h in $(find include lib pvops hypercall protocol drivers-front drivers-back drivers-native iommu control kernel \
	hypervisor tools tests -name '*.h'); do
	gcc -std=gnu11 -ffreestanding -Wall -Wextra -Werror -Wstrict-prototypes -Wundef -Wno-unused-parameter \
		-mgeneral-regs-only -Iinclude -I. -Ikernel/net/port -isystem "$BUILD/third/lwip/include" -x c -fsyntax-only "$h" 2>"$BUILD/header.err" ||
		{ echo "$h does not compile alone:"; head -n 5 "$BUILD/header.err"; status=1; }
done
[ $status = 0 ] && echo "every header compiles alone"
exit $status
