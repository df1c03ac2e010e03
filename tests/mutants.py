#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# mutants.py - takes one rule after another out of the code, and insists that its test notices.
#
# tests/mutants.list has the rules: a name, the file, the test, what stands there and what is to stand there
# instead.  For each one a copy of the tree under WORK is changed in that one place, the test's program is built
# there, and the named test alone is run: it must fail.  A test that still passes proves nothing about
# its rule.  docs/transport.md has the same names in its table.
#
#   mutants.py --check                   lists, documentation and sources fit each other; builds nothing
#   mutants.py --work DIR [NAME...]      all mutants, or these
#   mutants.py --work DIR --rules        the same, as lines for the table

import argparse
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIST = "tests/mutants.list"
PAGE = "docs/transport.md"
# A mutant may never end: it is stopped after so many times what its test takes, and a little.
HANG_TIMES, HANG_MORE = 20, 20.0


class Mutant:
    def __init__(self, name, file, program, test, line):
        self.name, self.file, self.program, self.test, self.line = name, file, program, test, line
        self.old, self.new = [], []

    def pattern(self):
        """What stands there, whatever the white space."""
        return re.compile(r"\s+".join(re.escape(w) for w in " ".join(self.old).split()))

    def change(self, text):
        """The text with the change, or None if what is to be changed is not there exactly once."""
        found = list(self.pattern().finditer(text))
        if len(found) != 1:
            return None
        return text[:found[0].start()] + "\n".join(self.new) + text[found[0].end():]


def read_list(path):
    mutants = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if line == "" or line.startswith("#"):
                continue
            if line.startswith("- ") or line.startswith("+"):
                if not mutants:
                    sys.exit(f"{LIST}:{number}: text before the first mutant; begin with its line NAME FILE PROGRAM TEST")
                (mutants[-1].old if line[0] == "-" else mutants[-1].new).append(line[2:])
                continue
            words = line.split()
            if len(words) != 4:
                sys.exit(f"{LIST}:{number}: {len(words)} words; write NAME FILE PROGRAM TEST")
            mutants.append(Mutant(*words, number))
    return mutants


def check(mutants):
    """Every mutant applies, its test exists, the page names it; and the page names no others."""
    bad = []
    with open(os.path.join(ROOT, PAGE), encoding="utf-8") as f:
        page = f.read()
    if len({m.name for m in mutants}) != len(mutants):
        bad.append(f"{LIST}: a name stands there twice; give each mutant its own")
    for m in mutants:
        with open(os.path.join(ROOT, m.file), encoding="utf-8") as f:
            text = f.read()
        if not m.old or m.change(text) in (None, text):
            bad.append(f"{LIST}:{m.line}: {m.name}: {m.file} has not exactly one place with this text; "
                       "write there how the rule's code reads now")
        source = "tests/" + m.program + ".c"
        if not os.path.exists(os.path.join(ROOT, source)):
            bad.append(f"{LIST}:{m.line}: {m.name}: there is no {source}; name the program as FOLDER/test_NAME")
        elif not re.search(r"\b%s\(void \*\*" % re.escape(m.test),
                           open(os.path.join(ROOT, source), encoding="utf-8").read()):
            bad.append(f"{LIST}:{m.line}: {m.name}: {source} has no test {m.test}; name one of its tests")
        if f"`{m.name}`" not in page:
            bad.append(f"{PAGE}: the table has not `{m.name}` of {LIST}; write its rule there")
    names = {m.name for m in mutants}
    tests = {m.test for m in mutants}
    for row in page.splitlines():
        cells = [c.strip() for c in row.split("|")]
        if len(cells) < 7 or not cells[5].startswith("`"):
            continue
        for name in re.findall(r"`([a-z0-9-]+)`", cells[5]):
            if name not in names:
                bad.append(f"{PAGE}: `{name}` is in no line of {LIST}; remove it, or write the mutant")
        for test in re.findall(r"`(\w+__\w+)`", cells[4]):
            if test not in tests:
                bad.append(f"{PAGE}: no mutant of {LIST} is tried on `{test}`; write one, or name the test that notices")
    for line in bad:
        print(line, file=sys.stderr)
    return not bad


def copy_tree(to):
    """The files git knows, changed ones too.  What is the same stays as it is, so that it is not built again."""
    files = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           check=True, capture_output=True).stdout.decode().split("\0")
    for file in filter(None, files):
        source, target = os.path.join(ROOT, file), os.path.join(to, file)
        if not os.path.isfile(source):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target) or open(source, "rb").read() != open(target, "rb").read():
            shutil.copyfile(source, target)
            shutil.copymode(source, target)


def target_of(m):
    folder, name = m.program.split("/")
    if folder == "sim":
        return "tests/sim_" + name.removeprefix("test_")
    return f"tests/test_{folder}_{name.removeprefix('test_')}"


class Place:
    """The copy, and the build tree beside it."""

    def __init__(self, work):
        self.tree, self.build = os.path.join(work, "tree"), os.path.join(work, "build")
        copy_tree(self.tree)
        if not os.path.exists(os.path.join(self.build, "build.ninja")):
            self.run(["meson", "setup", self.build, self.tree, "-Doptimization=1", "-Ddebug=false", "-Db_lto=false",
                      "-Dallocator=system"])

    def run(self, command):
        r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if r.returncode != 0:
            sys.exit(r.stdout + f"mutants: {' '.join(command[:2])} failed; its output stands above")

    def compile(self, targets):
        """None, or what the compiler said."""
        r = subprocess.run(["ninja", "-C", self.build] + sorted(targets), stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        return r.stdout if r.returncode != 0 else None

    def test(self, m, limit):
        """passed, failed, ended (by a signal or an assertion), hung, or not run."""
        env = dict(os.environ, PROA_TEST=m.test)
        try:
            r = subprocess.run([os.path.join(self.build, target_of(m))], env=env, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace", timeout=limit)
        except subprocess.TimeoutExpired:
            return "hung"
        if r.returncode < 0:
            return "ended"
        if f"[       OK ] {m.test}" in r.stdout:
            return "passed"
        return "failed" if f"[  FAILED  ] {m.test}" in r.stdout else "not run"


def try_one(place, m, limit):
    target = os.path.join(place.tree, m.file)
    with open(os.path.join(ROOT, m.file), encoding="utf-8") as f:
        true = f.read()
    with open(target, "w", encoding="utf-8") as f:
        f.write(m.change(true))
    try:
        said = place.compile([target_of(m)])
        return "not built:\n" + said if said else place.test(m, limit)
    finally:
        with open(target, "w", encoding="utf-8") as f:
            f.write(true)


def main():
    parser = argparse.ArgumentParser(description="takes each rule out of the code and runs its test")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--work")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    mutants = read_list(os.path.join(ROOT, LIST))
    if args.check:
        sys.exit(0 if check(mutants) else 1)
    if args.work is None:
        parser.error("--work DIR is missing: where copy and build tree may be")
    unknown = set(args.names) - {m.name for m in mutants}
    if unknown:
        sys.exit(f"mutants: {LIST} has no {', '.join(sorted(unknown))}; `grep -v '^[-+# ]' {LIST}` shows its names")
    chosen = [m for m in mutants if not args.names or m.name in args.names]
    for m in chosen:
        if m.change(open(os.path.join(ROOT, m.file), encoding="utf-8").read()) is None:
            sys.exit(f"{LIST}:{m.line}: {m.name}: {m.file} has not exactly one place with this text; "
                     "write there how the rule's code reads now")

    place = Place(args.work)
    said = place.compile({target_of(m) for m in chosen})
    if said:
        sys.exit(said + "mutants: the tree itself does not build; its errors stand above")
    limits, bad = {}, 0
    for m in chosen:
        began = time.monotonic()
        result = place.test(m, None)
        limits[m.name] = HANG_TIMES * (time.monotonic() - began) + HANG_MORE
        if result != "passed":
            sys.exit(f"mutants: {m.test} of {m.program}.c is {result} without any change; make it pass first")
    for i, m in enumerate(chosen, 1):
        result = try_one(place, m, limits[m.name])
        noticed = result in ("failed", "ended", "hung")
        bad += not noticed
        print(f"{i:3}/{len(chosen)} {'ok ' if noticed else 'BAD'} {m.name:34} {m.test}: {result}", flush=True)
    print(f"{len(chosen) - bad} of {len(chosen)} rules are noticed when they are missing")
    sys.exit(1 if bad else 0)


main()
