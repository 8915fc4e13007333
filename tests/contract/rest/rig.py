"""The services as processes in a folder of their own, and a client that sends raw bytes.

Stores and cache are SQLite and memory, or, under with_servers (RIG_POSTGRESQL, RIG_REDIS), a
PostgreSQL and a Redis, with schemas and keys of this rig's own."""

import ctypes
import itertools
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

DEADLINE_SEC = 20
RATE_GENERAL = 60
RATE_ENROLMENT = 10
REQUEST_DEADLINE_SEC = 2
SERVICES = ["discovery", "routing", "relay", "metrics", "turn"]

CONFIG = """\
[service]
state = {folder}/state/{who}
run = {folder}/run
[log]
level = info
[admin]
gateway = off
discovery = off
routing = off
relay = off
metrics = off
turn = off
[bus]
gateway = ipc://{folder}/run/gateway-of-{who}.sock
[discovery]
enrolment = {enrolment}
stun_servers = stun.example.org:3478
[relay]
listen = 127.0.0.1:0
udp_listen = 127.0.0.1:0
[turn]
servers = turns:turn.example.org:5349
[gateway]
listen = 127.0.0.1:0
trusted_proxies = 127.0.0.0/8
rate_general = {rate_general}
rate_enrolment = {rate_enrolment}
rate_heartbeat = 1000
request_deadline = {request_deadline}s
max_connections = 4096
token_secret = {folder}/token.secret
{more}
"""


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def await_true(condition, what):
    """Polls until the condition holds, and returns what it returned."""
    deadline = time.monotonic() + DEADLINE_SEC
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)  # other processes: there is no event to wait for
    raise AssertionError("not in time: " + what)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["error"]["code"]

    def __repr__(self):
        return "%s %s %.300s" % (self.status, self.headers, self.body)


class Connection:
    """One connection to a gateway; requests as bytes, answers one after the other."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SEC)
        self.kept = b""

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        got = self.socket.recv(65536)
        self.kept += got
        return bool(got)

    def read(self, n):
        while len(self.kept) < n:
            if not self.more():
                raise EOFError
        data, self.kept = self.kept[:n], self.kept[n:]
        return data

    def receive(self, has_body=True):
        while b"\r\n\r\n" not in self.kept:
            if not self.more():
                raise EOFError
        head, self.kept = self.kept.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("ascii").split("\r\n")
        headers = {}
        for line in lines:
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
        n = int(headers.get("content-length", "0")) if has_body else 0
        return Answer(int(first.split()[1]), headers, self.read(n))


class Rig:
    def __init__(self, programs, gateways=1, more="", enrolment="token", services=SERVICES):
        self.programs, self.enrolment = programs, enrolment
        self.folder = tempfile.mkdtemp(prefix="boson-rest-")
        self.processes = {}
        self.addresses = itertools.count(1)
        self.ports = []
        self.more = more
        os.mkdir(self.folder + "/run", 0o700)
        os.mkdir(self.folder + "/state", 0o700)
        os.mkdir(self.folder + "/state/all", 0o700)
        for service in services:
            self.start(service)
        for i in range(gateways):
            self.start_gateway(i)

    # ---- processes ----

    def environment(self):
        environment = dict(os.environ)
        postgresql, redis = os.environ.get("RIG_POSTGRESQL"), os.environ.get("RIG_REDIS")
        if postgresql and redis:
            name = re.sub(r"\W", "_", os.path.basename(self.folder)).lower()
            for service in ["DISCOVERY", "ROUTING", "METRICS", "GATEWAY"]:
                environment["BOSON_%s_STORE" % service] = "%s&schema=%s_%s" % (
                    postgresql, name, service.lower())
            for service in ["DISCOVERY", "GATEWAY"]:
                environment["BOSON_%s_CACHE" % service] = "%s?prefix=%s:" % (redis, name)
        return environment

    def spawn(self, name, program, who, stderr=None):
        path = "%s/%s.conf" % (self.folder, name)
        with open(path, "w") as out:
            out.write(CONFIG.format(
                folder=self.folder, who=who, more=self.more, enrolment=self.enrolment,
                rate_general=RATE_GENERAL, rate_enrolment=RATE_ENROLMENT,
                request_deadline=REQUEST_DEADLINE_SEC))
        self.processes[name] = subprocess.Popen(
            ["%s/%s" % (self.programs, program), "-c", path], env=self.environment(),
            stderr=stderr or open("%s/%s.log" % (self.folder, name), "a"),
            preexec_fn=die_with_parent)
        return self.processes[name]

    def start(self, service):
        self.spawn(service, "boson-" + service, "all")

    def start_gateway(self, i):
        """Replicas share the secret of tokens, the store of keys, the cache; not the folder."""
        read_end, write_end = os.pipe()
        os.makedirs("%s/state/gateway%d" % (self.folder, i), exist_ok=True)
        self.spawn("gateway%d" % i, "boson-gateway", "gateway%d" % i, write_end)
        os.close(write_end)
        text = b""
        while True:
            ready, _, _ = select.select([read_end], [], [], DEADLINE_SEC)
            got = os.read(read_end, 4096) if ready else b""
            text += got
            found = re.search(rb"gateway_listening .*port=(\d+)", text)
            if found:
                break
            if not got:
                raise AssertionError("the gateway did not start:\n" + text.decode())
        self.ports[i:i + 1] = [int(found.group(1))]
        # Its pipe must not fill.
        subprocess.Popen(["cat"], stdin=read_end,
                         stdout=open("%s/gateway%d.log" % (self.folder, i), "a"),
                         preexec_fn=die_with_parent)
        os.close(read_end)

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self):
        codes = {}
        for name, process in self.processes.items():
            if process.poll() is None:
                process.terminate()
        for name, process in self.processes.items():
            codes[name] = process.wait(DEADLINE_SEC)
        bad = {name: code for name, code in codes.items() if code not in (0, -signal.SIGKILL)}
        if bad:
            self.show_logs()
        shutil.rmtree(self.folder, ignore_errors=True)
        if bad:
            raise AssertionError("did not end well: %s" % bad)

    def show_logs(self):
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".log"):
                with open("%s/%s" % (self.folder, name), errors="replace") as log:
                    print("---- %s\n%s" % (name, log.read()[-4000:]))

    def logs(self):
        text = ""
        for name in os.listdir(self.folder):
            if name.endswith(".log"):
                with open("%s/%s" % (self.folder, name), errors="replace") as log:
                    text += log.read()
        return text

    # ---- requests ----

    def key(self, name, i=0):
        with open("%s/state/gateway%d/gateway/%s.key" % (self.folder, i, name)) as key:
            return key.read().strip()

    def make_key(self, kind, name, i=0):
        """An access key as the operator makes them."""
        path = "%s/%s.key" % (self.folder, name)
        subprocess.run(
            ["%s/bosonctl" % self.programs, "-c", "%s/gateway%d.conf" % (self.folder, i), "keys",
             "create", kind, name, "--out", path], check=True, env=self.environment(),
            stdout=subprocess.DEVNULL, timeout=DEADLINE_SEC)
        with open(path) as key:
            return key.read().strip()

    def address(self):
        """A client's address of its own, as the trusted proxy in front would say it."""
        n = next(self.addresses)
        return "198.18.%d.%d" % (n // 256 % 256, n % 256)

    def head(self, method, target, token=None, headers=(), address=None):
        lines = ["%s %s HTTP/1.1" % (method, target), "Host: gateway",
                 "X-Forwarded-For: " + (address or self.address())]
        if token:
            lines.append("Authorization: Bearer " + token)
        return "\r\n".join(lines + list(headers)) + "\r\n"

    def whole(self, method, target, body=None, token=None, headers=(), address=None):
        """body: bytes as they are, or anything that JSON can say."""
        text = self.head(method, target, token, headers, address).encode()
        if body is None:
            return text + b"\r\n"
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return text + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
            len(body), body)

    def exchange(self, data, has_body=True, i=0):
        connection = Connection(self.ports[i])
        try:
            connection.send(data)
            return connection.receive(has_body)
        finally:
            connection.close()

    def ask(self, method, target, body=None, token=None, headers=(), address=None, i=0):
        return self.exchange(self.whole(method, target, body, token, headers, address),
                             method != "HEAD", i)
