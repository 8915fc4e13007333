"""README.md, docs/ and deploy/*/README.md: each key of the configuration that they name is there, with the default that
stands behind it in brackets; so are the files and folders; each threat has a test."""

import glob
import os
import re
import subprocess

from checking import expect, finish, program
import checking

top = os.path.dirname(checking.deploy)
# Of these, what is named by its path stands in the tree.
FOLDERS = "deploy|docs|loadtest|proto|services|shared|tests"


def keys_of(name):
    """{section: {key: default}} from --help."""
    told = subprocess.run([program(name), "--help"], check=True, capture_output=True, text=True).stdout
    keys, section = {}, None
    for line in told.split("\nExample:")[0].splitlines():
        head, key = re.match(r"\[(\w+)\]$", line), re.match(r"#?(\w+) =\s*(.*)", line)
        if head:
            section = keys.setdefault(head[1], {})
        elif key and section is not None:
            section[key[1]] = key[2]
    return keys


def defaults_of(section, key):
    return {keys[section][key] for keys in known if key in keys.get(section, {})}


def check_keys(page, text):
    named = r"`\[(\w+)\] (\w+)(?: = [^`]*)?`(?: \((\d+ ?[a-zA-Z]*)\))?"
    for section, key, value in re.findall(named, text):
        defaults = defaults_of(section, key)
        expect(defaults or section == "client", f"{page}: there is no [{section}] {key}")
        expect(not value or value.replace(" ", "") in defaults, f"{page}: [{section}] {key} ({value}) is {defaults}")


def check_files(page, text):
    for path in re.findall(rf"`((?:{FOLDERS})/[\w./*-]+)", text):
        path = path.rstrip(".")
        # architecture.md names a header and what goes with it by the stem.
        expect(glob.glob(os.path.join(top, path)) or glob.glob(os.path.join(top, path + ".[ch]")),
               f"{page}: there is no {path}")
    for path in re.findall(r"\]\(([\w./]+)(?:#[\w-]+)?\)", text):
        expect(os.path.exists(os.path.join(top, os.path.dirname(page), path)), f"{page}: there is no {path}")


def check_threats():
    """Each row of the threat model is cited in tests, but for those that it says no test can show."""
    with open(os.path.join(top, "docs/threat-model.md"), encoding="utf-8") as file:
        model = file.read()
    cited = subprocess.run(["grep", "-rhow", "T[0-9][0-9]", os.path.join(top, "tests")], capture_output=True, text=True).stdout
    named, rows = set(cited.split()), set(re.findall(r"^\| (T\d\d) ", model, re.MULTILINE))
    without = set(re.findall(r"T\d\d", re.search(r"No test can\s+show\s+(.*?)\.", model)[1]))
    expect(rows - named == without, f"threats without a test: {sorted(rows - named)}, said: {sorted(without)}")
    expect(named <= rows, f"threats that no row has: {sorted(named - rows)}")


known = [keys_of(name) for name in ("bosond", "higgs-agent", "higgs-forwarder")]
pages = ["README.md"] + [os.path.relpath(path, top) for folder in ("docs/*.md", "deploy/*/README.md")
                         for path in sorted(glob.glob(os.path.join(top, folder)))]
for page in pages:
    with open(os.path.join(top, page), encoding="utf-8") as file:
        words = re.sub(r"\s+", " ", file.read())
    check_keys(page, words)
    check_files(page, words)
check_threats()
finish()
