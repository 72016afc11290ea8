#!/usr/bin/env python3
"""arrows_test: every #include follows an arrow of the plan of the house, and no portable room
reaches for a C library.

Why: rooms meet only through include/amphi; that is what lets the driver cores be linked into the
kernel, host programs and fuzzers alike. Expected: a private header is included in its own room
only; the hypervisor sees include/amphi, lib and iommu; freestanding code includes <amphi/...>,
<xen/...> and the compiler's own headers; what include/amphi includes is include/amphi and xen.
"""
import os, re, sys

FREE = "lib pvops hypercall protocol drivers-front drivers-back drivers-native iommu control unpack kernel hypervisor".split()
COMPILER = {"stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdalign.h", "limits.h"}
LIBRARIES = {  # what is made of others' sources
    "unpack": ("zlib/", "unxz/", "zstd/", "lz4/", "stdlib.h", "string.h"),
    "kernel/net": ("lwip/", "netif/"),
}
PRIVATE_OF = {"kernel": FREE[:-1]}  # the kernel ties all the others together


def includes(path):
    for n, line in enumerate(open(path, errors="replace"), 1):
        m = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if m:
            yield n, m.group(1), m.group(2)


def allowed(room, folder, kind, target):
    if kind == "<":
        if target.startswith(LIBRARIES.get(next((r for r in LIBRARIES if (folder + "/").startswith(r + "/")), ""), "?")):
            return True
        return target.startswith(("amphi/", "xen/")) or target in COMPILER
    if os.path.exists(os.path.join(folder, target)) and "/" not in target:
        return True
    owner = target.split("/")[0]
    return owner in PRIVATE_OF.get(room, []) and os.path.exists(target)


bad = []
for room in FREE + ["include"]:
    for folder, _, names in os.walk(room):
        for name in sorted(names):
            if not name.endswith((".c", ".h", ".S", ".def")):
                continue
            path = os.path.join(folder, name)
            for n, kind, target in includes(path):
                if room == "include":  # a contract's own table lies beside it
                    ok = target.startswith(("amphi/", "xen/")) or target in COMPILER or target.endswith(".def")
                else:
                    ok = allowed(room, folder, kind, target)
                if not ok:
                    bad.append(f"{path}:{n}: {room} may not include {target}")
print("\n".join(bad) or "every include follows an arrow")
sys.exit(bool(bad))
