#!/usr/bin/env python3
"""lspci_diff.py: what `lspci -vv -n` says of functions in a guest and of the same functions natively, field by field.

lspci_diff.py NATIVE GUEST FUNCTION=GUEST-FUNCTION...: prints each field that differs and whose difference is not in the table below, or
a function that is not there, and ends with 1. A field is a line with what continues it, named by the capability that it stands in;
of two lines those words are compared that differ. The table says what may differ and is docs/pci.md's ("What lspci sees"), which has
the reasons. Not here: what must be the same in both though it is wrong. Called by linux_pci_test.sh.
"""
import re
import sys

# field, what native says more, what the guest says more
MAY_DIFFER = [
    # as on real Xen
    (r"Physical Slot", r".*", r""),
    (r"NUMA node", r"", r".*"),
    (r"Interrupt", r"\d+", r"\d+"),
    (r".* LnkCtl2", r".*", r""),
    # of ours
    (r"Interrupt", r"A|\d+", r"\?|\d+"),
    (r"Control", r"I/O\+|SERR\+", r"I/O-|SERR-"),
    (r"Region \d", r"", r"\[disabled\]"),
    (r"Expansion ROM.*", r".*", r""),
    (r".* Power Management .* Status", r"NoSoftRst-", r"NoSoftRst\+"),
    (r".* Express .* DevCap", r"FLReset\+", r"FLReset-"),
    (r".* Express .* DevCtl", r"FLReset-", r""),
]


def functions(path):
    """{function: {field: text}}"""
    found, fields, section, name = {}, {}, "", ""
    for line in open(path):
        line = line.rstrip()
        depth = len(line) - len(line.lstrip("\t"))
        if not line:
            continue
        if depth == 0:
            function, _, text = line.partition(" ")
            fields = found[function] = {"": text}
            section = ""
            continue
        head, _, text = line.strip("\t").partition(":")
        if depth > 1 and (line[2] in "\t " or ":" not in line):
            fields[name] += " " + line.strip()  # of the line before
            continue
        if depth == 1:
            name = section = head
            if head == "Capabilities":
                name = section = "Capabilities:" + text.split(":")[0].rstrip("+-")
                section = name = re.sub(r" (Enable|Count|Masked).*", "", name)
            if head.startswith("Expansion ROM"):
                text = head
                name = section = "Expansion ROM"
        else:
            name = section + " " + head
        fields[name] = text
    return found


def allowed(field, more, less):
    """Whether each word that differs is one of the table's for that field."""
    rows = [r for r in MAY_DIFFER if re.fullmatch(r[0], field)]
    return (all(any(re.fullmatch(r[1], w) for r in rows) for w in more) and
            all(any(re.fullmatch(r[2], w) for r in rows) for w in less) and bool(rows))


def words(text):
    return [w.strip(",;") for w in text.split()]


def main():
    native, guest = functions(sys.argv[1]), functions(sys.argv[2])
    wrong = compared = 0
    for pair in sys.argv[3:]:
        here, there = pair.split("=")
        if here not in native or there not in guest:
            print("%s or %s is not there" % (here, there))
            wrong += 1
            continue
        a, b = native[here], guest[there]
        for field in sorted(set(a) | set(b)):
            one, two = words(a.get(field, "")), words(b.get(field, ""))
            more = [w for w in one if w not in two]
            less = [w for w in two if w not in one]
            compared += 1
            if (field in a) == (field in b) and not more and not less:
                continue
            if not allowed(field, more, less):
                wrong += 1
                print("%s %s: natively %s, in the guest %s" % (here, field, more or field in a, less or field in b))
    print("lspci: %d fields compared, %d differ that should not" % (compared, wrong))
    return wrong > 0


sys.exit(main())
