#!/usr/bin/env python3
"""where.py: which functions the instructions between two marks belong to.

where.py N COUNTS NAME=SYMBOLS...: COUNTS is a file of count_plugin.c's where=, SYMBOLS what nm says of a program that ran, or
/proc/kallsyms of a Linux. Prints instructions for each of N (packets, pings, KiB): all, by program, and by function, the most first.
Domains that run the same program are one. Run by hand when a figure of a bench is to be understood; nothing depends on it.
"""
import bisect
import collections
import sys

n, counts = float(sys.argv[1]), sys.argv[2]
symbols = []
for word in sys.argv[3:]:
    program, path = word.split("=", 1)
    for line in open(path):
        fields = line.split()
        if len(fields) >= 3 and fields[1] in "tTwWvV" and int(fields[0], 16):
            symbols.append((int(fields[0], 16), program, fields[2]))
symbols.sort()
starts = [s[0] for s in symbols]
functions, programs = collections.Counter(), collections.Counter()
for line in open(counts):
    address, count = line.split()
    i = bisect.bisect_right(starts, int(address, 16)) - 1
    program, name = symbols[i][1:] if i >= 0 else ("?", address)
    functions[program, name] += int(count)
    programs[program] += int(count)
print("%10.1f all" % (sum(programs.values()) / n))
for program, count in programs.most_common():
    print("%10.1f %s" % (count / n, program))
for (program, name), count in functions.most_common(150):
    print("%10.1f   %s %s" % (count / n, program, name))
