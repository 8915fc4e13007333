#!/usr/bin/env python3
"""What the sources must not do, whoever writes them next:

T07  compare a secret with memcmp or strcmp
T39  run a shell, or a program found by name (P23)
T40  hand the database a statement that is not a constant
T41  log by a format that is not a constant, or a secret
P14  ship a secret by default

Prints what it found, file:line, and exits 1.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
found = []


def complain(path, text, at, rule, what):
    line = text.count("\n", 0, at) + 1
    found.append(f"{path.relative_to(ROOT)}:{line}: {rule}: {what}")


TOKEN = re.compile(r'("(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')|(/\*.*?\*/|//[^\n]*)', re.S)


def without_comments(text):
    """Comments become blanks, so that lines stay where they are."""
    return TOKEN.sub(lambda m: m.group(1) or re.sub(r"[^\n]", " ", m.group(2)), text)


def arguments(text, start):
    """The arguments of the call whose ( is at start, as texts."""
    depth, begin, parts, i = 0, start + 1, [], start
    while i < len(text):
        c = text[i]
        if c in "\"'":
            end = i + 1
            while text[end] != c:
                end += 2 if text[end] == "\\" else 1
            i = end
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth == 0:
                parts.append(text[begin:i].strip())
                return parts
        elif c == "," and depth == 1:
            parts.append(text[begin:i].strip())
            begin = i + 1
        i += 1
    return parts


def calls(text, name):
    for match in re.finditer(r"(?<![\w.>])" + name + r"\s*\(", text):
        yield match.start(), arguments(text, match.end() - 1)


CONSTANT = re.compile(r'^(?:"|[A-Z_]+\b)')  # a literal, or a macro that is one
SQL_VERB = re.compile(r'"\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER)\b')
SECRET_WORD = re.compile(
    r"(?:^|_|\b)(?:secrets?|seed|private|passw\w*|bearer|mac|token_text|ticket_text|cookie|nonce)"
    r"(?:$|_|\b|\[)")
LOGGED = re.compile(r"\b(secret|token|ticket|bearer|authorization|proof|cookie|private\w*|"
                    r"passw\w*|seed)=%")
# Functions whose sql parameter is a constant of their callers, all in the same file.
PASS_ON = {"sql"}


def check_shell(path, text):
    if path.name == "child.c" and path.parent.name == "wg":
        return  # execve of a path that its caller names, with arguments apart
    for name in ("system", "popen", "execl", "execlp", "execle", "execv", "execvp", "execve",
                 "execvpe", "posix_spawn", "posix_spawnp", "wordexp"):
        for at, _ in calls(text, name):
            complain(path, text, at, "T39", name)


def check_sql(path, text):
    if path.parent.name == "store":
        return  # the drivers themselves
    for name in ("store_exec", "store_query"):
        for at, args in calls(text, name):
            if len(args) < 2 or args[0].startswith("struct "):
                continue  # a declaration
            sql = args[1]
            if not (CONSTANT.match(sql) or sql in PASS_ON or is_constant(text, sql)):
                complain(path, text, at, "T40", f"statement {sql!r} is not a constant")
    for name in ("snprintf", "sprintf", "asprintf", "strcat", "strncat"):
        for at, args in calls(text, name):
            if any(SQL_VERB.search(arg) for arg in args):
                complain(path, text, at, "T40", "a statement is put together")


def is_constant(text, name):
    """An array of literals, or a variable that only literals are given to."""
    base = re.split(r"[\[(.]|->", name)[0]
    if re.search(r"const char \*const " + re.escape(base) + r"\[", text):
        return True
    given = re.findall(r"\b" + re.escape(base) + r"\s*=\s*([^=;][^;]*);", text)
    return bool(given) and all(re.match(r'^[^"]*"', value) for value in given)


def check_logs(path, text):
    if path.parent.name == "log":
        return
    for name in ("log_error", "log_warn", "log_info", "log_debug"):
        for at, args in calls(text, name):
            if len(args) > 1 and not args[1].startswith('"'):
                complain(path, text, at, "T41", "the format is not a constant")
            if len(args) > 1 and LOGGED.search(args[1]):
                complain(path, text, at, "T41", f"a secret is logged: {args[1]}")


def check_compares(path, text):
    for name in ("memcmp", "strcmp", "strncmp", "strcasecmp", "bcmp"):
        for at, args in calls(text, name):
            if any(SECRET_WORD.search(arg) and not arg.startswith('"') for arg in args[:2]):
                complain(path, text, at, "T07", f"{name}({', '.join(args)})")


def check_defaults(path, text):
    if re.search(r"change[-_ ]?(?:this|me)\b|(?:passwor[dt]|secret)\s*[:=]\s*['\"]?(?!/|\$|<|#|\(|\{)"
                 r"[A-Za-z0-9+/]{8,}['\"]?\s*$", text, re.I | re.M):
        at = re.search(r"change[-_ ]?(?:this|me)\b|(?:passwor[dt]|secret)\s*[:=]\s*['\"]?"
                       r"(?!/|\$|<|#|\(|\{)[A-Za-z0-9+/]{8,}['\"]?\s*$", text, re.I | re.M).start()
        complain(path, text, at, "P14", text[at:at + 60].split("\n")[0])


sources = [p for folder in ("services", "shared") for p in sorted((ROOT / folder).rglob("*.[ch]"))]
assert len(sources) > 100, "where are the sources?"
for path in sources:
    text = without_comments(path.read_text())
    for check in (check_shell, check_sql, check_logs, check_compares):
        check(path, text)
for pattern in ("*.conf", "*.yaml", "*.service", "*.sh"):
    for path in sorted((ROOT / "deploy").rglob(pattern)):
        check_defaults(path, path.read_text())

for line in found:
    print(line)
sys.exit(1 if found else 0)
