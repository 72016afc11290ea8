#!/usr/bin/env python3
"""shape_test: the rules of the house on how the code looks, checked on every source file.

Why: a reader counts on them: functions of at most 70 lines (median 12, 95 % at most 45), nesting
of at most 3, at most 6 parameters, files of at most 600 lines that open by saying what they are,
no #if inside a function, nothing left to be done. Function ranges come from universal-ctags.
Python because it has to read C's comments and strings, which sh cannot. Expected: no offence.
"""
import os, re, statistics, subprocess, sys

ROOMS = ("include lib pvops hypercall protocol drivers-front drivers-back drivers-native iommu "
         "control kernel hypervisor tools tests").split()
PRODUCT = [r for r in ROOMS if r != "tests"]


def sources(rooms, endings):
    for room in rooms:
        for folder, _, names in os.walk(room):
            for name in sorted(names):
                if name.endswith(endings) and "/seeds/" not in folder + "/":
                    yield os.path.join(folder, name)


def blank(text):
    """The text with comments and the insides of strings made blank, lines kept."""
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return token.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def functions(paths):
    run = subprocess.run(["ctags", "--fields=+neSK", "--c-kinds=f", "--languages=C", "--langmap=c:.c.h",
                          "-I", "__attribute__+", "-f", "-", "-L", "-"],
                         input="\n".join(paths), capture_output=True, text=True, check=True)
    for line in run.stdout.splitlines():
        if line.startswith("!"):
            continue
        parts = line.split("\t")
        fields = dict(p.split(":", 1) for p in parts[3:] if ":" in p)
        if "end" in fields:
            yield parts[0], parts[1], int(fields["line"]), int(fields["end"]), fields.get("signature", "()")


def purpose(path, text):
    """Whether the first comment has at least 8 words."""
    if path.endswith((".c", ".h", ".S")):
        m = re.match(r"\s*/\*(.*?)\*/", text, re.S)
    elif path.endswith(".py"):
        m = re.match(r'(?:#![^\n]*\n)?\s*"""(.*?)"""', text, re.S)
    else:
        m = re.match(r"(?:#![^\n]*\n)?((?:#[^\n]*\n)+)", text)
    return bool(m) and len(re.findall(r"[A-Za-z]{2,}", m.group(1))) >= 8


def depth(body):
    now = most = 0
    for c in body:
        now += (c == "{") - (c == "}")
        most = max(most, now)
    return most - 1


def check_files(bad):
    for path in sources(ROOMS, (".c", ".h", ".S", ".sh", ".py", ".def", ".lds")):
        text = open(path, errors="replace").read()
        count = text.count("\n")
        if count > 600:
            bad.append(f"{path}: {count} lines, 600 are allowed")
        if not purpose(path, text) and not path.endswith((".def", ".lds")):
            bad.append(f"{path}: its first comment does not say what it is")
        for mark in re.finditer(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b", text):
            bad.append(f"{path}: {mark.group()} left in")
    if open("Makefile").read().count("\n") > 200:
        bad.append("Makefile: more than 200 lines")


def check_functions(bad):
    paths = list(sources(ROOMS, (".c", ".h")))
    text = {p: blank(open(p, errors="replace").read()).split("\n") for p in paths}
    lengths = []
    for name, path, start, end, signature in functions(paths):
        lines, body = end - start + 1, text[path][start - 1:end]
        where = f"{path}:{start}: {name}"
        if path.split("/")[0] in PRODUCT:
            lengths.append(lines)
        if lines > 70:
            bad.append(f"{where}: {lines} lines, 70 are allowed")
        if depth("\n".join(l for l in body if not l.lstrip().startswith("#"))) > 3:
            bad.append(f"{where}: nested deeper than 3")
        if any(re.match(r"\s*#\s*(if|ifdef|ifndef)\b", l) for l in body):
            bad.append(f"{where}: #if inside a function")
        if signature.count(",") + 1 > 6:
            bad.append(f"{where}: more than 6 parameters")
    lengths.sort()
    if lengths:
        median, p95 = statistics.median(lengths), lengths[int(len(lengths) * 0.95)]
        print(f"{len(lengths)} functions of the product: median {median}, 95 % at most {p95}, longest {lengths[-1]}")
        if median > 12 or p95 > 45:
            bad.append(f"functions: median {median} (12 allowed), 95 % at most {p95} (45 allowed)")


bad = []
check_files(bad)
check_functions(bad)
print("\n".join(bad) or "every file and function keeps the rules")
sys.exit(bool(bad))
