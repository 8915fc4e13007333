"""docs/operations.md, the tables of figures: what they name is what a site with a node exports, names and labels alike.

    bosond, admin 9900      one network namespace; the node enrols by TLS, and asks a STUN server that is none
      |
    higgs-agent, higgs-forwarder, admin 9907 and 9908

Needs root, for the namespace and the forwarder."""

import ctypes
import os
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from checking import Host, expect, finish, program, skip
import checking

DEADLINE_SEC = 90
CLONE_NEWNET = 0x40000000
SITE = """[service]
state = {root}/boson
run = {root}/boson-run
[gateway]
listen = 127.0.0.1:8443
certificate = {root}/tls.crt
private_key = {root}/tls.key
[discovery]
enrolment = open
stun_servers = 127.0.0.1:3478
[relay]
listen = 127.0.0.1:8444
[turn]
servers = stun:127.0.0.1:3478
"""
NODE = """[service]
state = {root}/higgs
run = {root}/higgs-run
[agent]
server = https://127.0.0.1:8443
ca_file = {root}/tls.crt
stun_private = yes
[forwarder]
interface = figures0
"""


def documented():
    """{service: {name: labels}}; of any service: under SERVICE."""
    named, service = {}, None
    with open(os.path.join(checking.deploy, "..", "docs", "operations.md"), encoding="utf-8") as file:
        for line in file:
            cell = line.split("|")[1] if line.startswith("|") else ""
            head = re.match(r" `(boson|higgs)_(\w+)_`", cell)
            if head:
                service = head[0].strip(" `").rstrip("_") if head[2] != "SERVICE" else "SERVICE"
            elif not cell:
                service = None
            elif service:
                for name, labels in re.findall(r"`(\w+)(?:\{(.*?)\})?`", cell):
                    keys = {label.split("=")[0] for label in labels.split(",") if label}
                    expect(named.setdefault(service, {}).setdefault(name, keys) == keys,
                           f"{service}: {name} has two sets of labels")
    return named


def exported(port):
    """{service: {name: labels}} of one admin address; of the process: under SERVICE, with their whole names."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    types, found = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            types[line.split()[2]] = line.split()[3]
        elif not line.startswith("#"):
            name, labels = re.match(r"(\w+)(?:\{(.*)\})? ", line).groups()
            if name not in types:
                name = re.sub(r"_(bucket|sum|count)$", "", name)
            keys = set(re.findall(r'(\w+)="', labels or "")) - {"le"}
            parts = re.match(f"({'|'.join(named)})_(.+)", name)
            service, name = parts.groups() if parts else ("SERVICE", name)
            found.setdefault(service, {}).setdefault(name, set()).update(keys)
    return found


def both(one, other):
    for service, figures in other.items():
        for name, keys in figures.items():
            one.setdefault(service, {}).setdefault(name, set()).update(keys)
    return one


def send_no_head():
    """What is refused before it is a request."""
    context = ssl.create_default_context(cafile=host.path("tls.crt"))
    with socket.create_connection(("127.0.0.1", 8443), 10) as plain:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
            tls.sendall(b"GET /health HTTP/1.1\nHost: x\n\n")
            tls.recv(1)


def missing(named, found):
    """What is documented and not exported, of any service by nobody."""
    anybody = {name for figures in found.values() for name in figures}
    return sorted(f"{service}: {name}" for service, figures in named.items() for name in figures
                  if name not in (anybody if service == "SERVICE" else found.get(service, {})))


def scrape():
    """All there is, once all that is documented is there or the deadline is over."""
    end, found, has_sent = time.monotonic() + DEADLINE_SEC, {}, False
    while missing(named, found) and time.monotonic() < end:
        time.sleep(0.2)
        try:
            if not has_sent:
                send_no_head()
                has_sent = True
            for port in (9900, 9907, 9908):
                both(found, exported(port))
        except (OSError, urllib.error.URLError):
            pass  # not up yet
    return found


if os.geteuid() != 0:
    skip("needs root, for a namespace")
if ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
    skip("network namespaces are not allowed here")
if not os.path.exists("/dev/net/tun"):
    skip("/dev/net/tun is missing")
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
named = documented()
expect(len(named) > 1 and "SERVICE" in named, f"tables are there of {sorted(named)}")

host = Host()
subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", "1", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
                "-keyout", host.path("tls.key"), "-out", host.path("tls.crt")], check=True, capture_output=True)
host.write("boson.conf", SITE.format(root=host.root))
host.write("higgs.conf", NODE.format(root=host.root))
running = []
try:
    for name, conf in (("bosond", "boson"), ("higgs-agent", "higgs"), ("higgs-forwarder", "higgs")):
        with open(host.path(f"{name}.log"), "w", encoding="utf-8") as log:
            running.append(subprocess.Popen([program(name), "-c", host.path(f"{conf}.conf")], stderr=log))
    found = scrape()
finally:
    for process in reversed(running):
        process.send_signal(signal.SIGTERM)
    codes = [process.wait(60) for process in running]
expect(codes == [0, 0, 0], f"the programs end with {codes}")

for figure in missing(named, found):
    expect(False, f"{figure} is documented, and nobody exports it")
for service, figures in sorted(found.items()):
    for name, keys in sorted(figures.items()):
        told = named["SERVICE"].get(name) if service == "SERVICE" else \
            named.get(service, {}).get(name, named["SERVICE"].get(name))
        expect(told is not None, f"{service}: {name} is exported, and no table has it")
        expect(told is None or told == keys, f"{service}: {name} has the labels {sorted(keys)}")
if checking.complaints:
    for name in ("bosond", "higgs-agent", "higgs-forwarder"):
        with open(host.path(f"{name}.log"), encoding="utf-8") as log:
            print(f"--- {name}\n{log.read()[-4000:]}")
finish()
