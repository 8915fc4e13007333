"""deploy/k8s/base run without a cluster: each workload's init containers and program, as its pod says, in a network
namespace of their own. Volumes are owned, opened and bounded as a kubelet does it (fsGroup above all), the root is
read-only, the user is the pod's. All become ready by their probes, `bosonctl` works where README.md says, and each
comes up again in a second pod on the same volumes, after a stop within its grace period. Needs root."""

import os
import time

import pods
from checking import SERVICES, Host, expect, finish, grace_sec, load_yaml, skip
import checking

DEADLINE_SEC = 40
# More than a mebibyte of the log of an SQLite file.
MANY_KEYS = """for number in $(seq 100); do
    bosonctl keys create client app$number >/dev/null
done"""

if os.geteuid() != 0:
    skip("needs root, for namespaces and other users")
made = {}
folder = os.path.join(checking.deploy, "k8s", "base")
for name in load_yaml(os.path.join(folder, "kustomization.yaml"))[0]["resources"]:
    for item in load_yaml(os.path.join(folder, name)):
        made[item["kind"], item["metadata"]["name"]] = item


def text_of(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


host = Host()
keys, public = host.make_keys()
host.make_certificate("tls.crt", "tls.key")
tls = {name: text_of(host.root, name) for name in ("tls.crt", "tls.key")}
sources = {f"bus-{name}": {f"{name}.secret": text_of(keys, f"{name}.secret")} for name in SERVICES}
sources |= {"bus-allow": {"allow": text_of(keys, "allow")},
            "boson-conf": made["ConfigMap", "boson-conf"]["data"], "gateway-tls": tls, "relay-tls": tls,
            "gateway-state": {name: os.urandom(32).hex() + "\n"
                              for name in ("token.secret", "client.key", "admin.key", "node.key")}}
environment = {f"BOSON_BUS_{name.upper()}": key for name, key in public.items()}
workloads = {name: made.get(("Deployment", name)) or made["StatefulSet", name] for name in SERVICES}
try:
    cluster = pods.Cluster(host, sources, environment, SERVICES)
except pods.NotHere as why:
    skip(str(why))


def becomes_ready(names):
    end = time.monotonic() + DEADLINE_SEC
    late = list(names)
    while late and time.monotonic() < end:
        late = [name for name in late if not running[name].answers("readinessProbe")]
        time.sleep(0.1)
    for name in late:
        expect(False, f"{name}: not ready after {DEADLINE_SEC} s: {running[name].log()}")
    expect(late or all(running[name].answers("livenessProbe") for name in names), f"{names}: not alive")


running = {}
try:
    for name in SERVICES:
        if name != "relay":
            running[name] = cluster.start(name, workloads[name])
    becomes_ready(("discovery", "metrics", "turn", "routing", "gateway"))
    ticket_keys = {}
    for name, key in (("discovery", "ticket-node.pub"), ("routing", "ticket-session.pub")):
        ticket_keys[key] = running[name].run("cat", f"/var/lib/boson/keys/{key}").stdout
    cluster.sources["ticket-keys"] = ticket_keys
    running["relay"] = cluster.start("relay", workloads["relay"])
    becomes_ready(SERVICES)
    for words in (("keys", "create", "client", "app"), ("nodes", "list"), ("relays", "list")):
        done = running["gateway"].run("bosonctl", *words)
        expect(done.returncode == 0, f"bosonctl {words}: {done.stderr}")
    done = running["gateway"].run("sh", "-euc", MANY_KEYS)
    expect(done.returncode == 0, f"no room for a hundred keys: {done.stderr}")
    for name in SERVICES:
        patience_sec = grace_sec(workloads[name]["spec"]["template"]["spec"])
        expect(running[name].stop(patience_sec) == 0, f"{name}: does not stop: {running[name].log()}")
    for name in SERVICES:
        running[name] = cluster.start(name, workloads[name])
    becomes_ready(SERVICES)
finally:
    for pod in running.values():
        pod.kill()
    cluster.end()
finish()
