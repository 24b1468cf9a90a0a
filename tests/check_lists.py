#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Lists that are kept by hand have what they are about; run in a clone, anywhere below it.

Makefile.am names every file of the tree, doc/testing.md every step of ./check, doc/dependencies.md
every package of packages.txt; and the files that texts, and the pages that sources, point to are there."""
import os
import re
import subprocess
import sys

# Automake knows the first two by itself; check goes into the tarball by a hook, the inputs as folders, the rest
# not at all.
NOT_NAMED = re.compile(r"Makefile\.am|configure\.ac|check|\.gitignore|\.ci/.*|fuzz/(corpus|planted)/.*")
FOLDERS = "doc|tests|examples|packaging|fuzz|bench|include|base|mech|plugin|tools|kernel-bind"
# Programs that are built, and names that stand for many.
NOT_FILES = re.compile(r"tests/real/(ike_peer|[a-z]*_probe)|fuzz/planted/TARGET\.patch")


def tracked(*patterns):
    output = subprocess.run(["git", "ls-files", *patterns], check=True, capture_output=True, text=True)
    return output.stdout.split()


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def files_not_distributed():
    named = set(re.split(r"[\s/]*[\s()]|\$\(top_srcdir\)/", text_of("Makefile.am")))
    return [path for path in tracked() if not NOT_NAMED.fullmatch(path) and path not in named]


def steps_not_told():
    check, page = text_of("check"), text_of("doc/testing.md")
    steps = re.findall(r"^(?:patient_|idle_)?step ([a-z-]+) ", check, re.M)
    for tests in re.findall(r"^(?:real|late|timed)_tests=\((.*?)^\)", check, re.M | re.S):
        steps += ["real-" + test.replace(":", "-") for test in tests.split()]
    cells = {word for row in re.findall(r"^\| ([^|]*) \|", page, re.M) for word in row.split(", ")}
    return [step for step in steps if step not in cells
            and not (step.startswith("real-") and re.search(rf"{step}(?![\w-])", page))]


def packages_without_reason():
    lines = text_of("tests/support/packages.txt").splitlines()
    words = set(re.split(r"[\s,;|()]+", text_of("doc/dependencies.md")))
    return [line for line in lines if line and line[0] not in "#[" and line not in words]


def dead_paths():
    for page in tracked("README.md", "doc/*.md"):
        text, folder = text_of(page), os.path.dirname(page)
        paths = re.findall(r"\]\(([^):#]+)\)", text) + re.findall(rf"`((?:{FOLDERS})/[\w./-]+)`", text)
        for path in sorted(set(paths)):
            if not NOT_FILES.fullmatch(path) and not (
                    os.path.exists(path) or os.path.exists(os.path.join(folder, path))):
                yield f"{page}: {path}"
    for source in tracked("*.c", "*.h"):
        for path in sorted(set(re.findall(r"\b[\w/-]+\.md\b", text_of(source)))):
            if not os.path.exists(path):
                yield f"{source}: {path}"


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    failed = False
    for what, missing in (
            ("Makefile.am names every file", files_not_distributed()),
            ("doc/testing.md names every step of ./check", steps_not_told()),
            ("doc/dependencies.md has a reason for each package", packages_without_reason()),
            ("files that texts name are there", list(dead_paths()))):
        failed = failed or bool(missing)
        print("FAIL" if missing else "ok", "check_lists:", what, *missing)
    return failed


if __name__ == "__main__":
    sys.exit(main())
