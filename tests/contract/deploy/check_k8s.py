"""deploy/k8s: the ConfigMap's boson.conf passes -n of each program as its manifest starts it, and
ports and names agree between configuration, workloads, Services and NetworkPolicies."""

import glob
import os
import re

from checking import (SERVICES, Host, expect, finish, grace_sec, load_yaml, port, read, sections)
import checking

folder = os.path.join(checking.deploy, "k8s", "base")
kustomization = load_yaml(os.path.join(folder, "kustomization.yaml"))[0]
files = sorted(os.path.basename(path) for path in glob.glob(os.path.join(folder, "*.yaml")))
files.remove("kustomization.yaml")
expect(sorted(kustomization["resources"]) == files, "kustomization.yaml names other files")

objects = {}
for file in files:
    for item in load_yaml(os.path.join(folder, file)):
        key = (item["kind"], item["metadata"]["name"])
        expect(key not in objects, f"{key} stands twice")
        objects[key] = item


def of_kind(kind):
    return {name: item for (its_kind, name), item in objects.items() if its_kind == kind}


workloads = {**of_kind("Deployment"), **of_kind("StatefulSet")}
text = objects["ConfigMap", "boson-conf"]["data"]["boson.conf"]
config = sections(text)
readme = read("k8s", "README.md")
expect(sorted(workloads) == sorted(SERVICES), f"workloads are {sorted(workloads)}")

host = Host()
keys, public = host.make_keys()
secrets = "/run/secrets/boson/"
host.make_certificate(secrets + "tls.crt", secrets + "tls.key")
host.write("boson.conf", host.inside(text, [secrets]), 0o644)
host.write(secrets + "bus.allow", open(os.path.join(keys, "allow"), encoding="utf-8").read())
bus_keys = {f"BOSON_BUS_{name.upper()}": key for name, key in public.items()}
STANDS_FOR = {"POD_NAME": "relay-0", "POD_IP": "10.1.2.3"}


def environment_of(container):
    made = dict(bus_keys)
    for entry in container.get("env", []):
        value = entry.get("value", STANDS_FOR.get(entry["name"], ""))
        made[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda match: made[match[1]], value)
    return made


def check_confined(name, spec):
    pod = spec["securityContext"]
    expect(pod["runAsNonRoot"] and pod["runAsUser"] == 10001, f"{name}: root")
    for container in spec["initContainers"] + spec["containers"]:
        limits = container["securityContext"]
        expect(limits["readOnlyRootFilesystem"] and not limits["allowPrivilegeEscalation"] and
               limits["capabilities"] == {"drop": ["ALL"]}, f"{name}: not confined")
        for mount in container["volumeMounts"]:
            expect(mount["name"] in [volume["name"] for volume in spec["volumes"]],
                   f"{name}: {mount['name']} is no volume")


def check_sources(name, spec):
    for volume in spec["volumes"]:
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        expect(claim is None or ("PersistentVolumeClaim", claim) in objects, f"{name}: no {claim}")
        made = (volume.get("secret", {}).get("secretName") or
                volume.get("configMap", {}).get("name"))
        expect(made is None or ("ConfigMap", made) in objects or made in readme or
               re.sub(f"{name}$", "$name", made) in readme,
               f"{name}: nothing makes {made}")


def check_ports(name, container):
    ports = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
    expect(ports["admin"] == port(config["admin"][name]), f"{name}: [admin] is elsewhere")
    expect(not config["admin"][name].startswith("127."), f"{name}: probes cannot reach it")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        expect(container[probe]["httpGet"]["port"] == "admin", f"{name}: {probe}")
    if name in config["bus"]:
        expect(ports["bus"] == port(config["bus"][name]), f"{name}: [bus] is elsewhere")
        expect(ports.get("events", ports["bus"] + 1) == ports["bus"] + 1, f"{name}: events")
        expect(environment_of(container)[f"BOSON_BUS_{name.upper()}"] == f"tcp://*:{ports['bus']}",
               f"{name}: is not bound to the port that others look for")
        service = objects["Service", name]["spec"]
        expect(re.match(r"tcp://(\w+):", config["bus"][name])[1] == name, f"{name}: its Service")
        for entry in service["ports"]:
            expect(ports[entry["name"]] == entry["port"], f"{name}: Service port {entry}")
    for listener, key, their in (("gateway", "listen", "https"), ("relay", "listen", "wss"),
                                 ("relay", "udp_listen", "wireguard")):
        if name == listener:
            expect(ports[their] == port(config[name][key]), f"{name}: listens elsewhere")
    if name == "relay":
        expect(ports["mesh"] == ports["bus"] + 2, "relay: the mesh is two above the mailbox")
    return ports


ports_of = {}
for name, workload in workloads.items():
    spec = workload["spec"]["template"]["spec"]
    container = spec["containers"][0]
    ports_of[name] = check_ports(name, container)
    check_confined(name, spec)
    check_sources(name, spec)
    host.write(secrets + "bus.secret",
               open(os.path.join(keys, f"{name}.secret"), encoding="utf-8").read())
    expect(container["command"][0] == f"boson-{name}", f"{name}: runs {container['command']}")
    host.accepts(container["command"][0], host.path("boson.conf"), environment_of(container))
    if name == "relay":  # bound to all addresses, it must say which one others reach
        silent = environment_of(container)
        del silent["BOSON_RELAY_ANNOUNCE_BUS"]
        host.accepts("boson-relay", host.path("boson.conf"), silent, exit_code=78)
    expect(grace_sec(spec) >= 30 + 15, f"{name}: killed before its drain and stop are over")
    claims = [volume for volume in spec["volumes"] if "persistentVolumeClaim" in volume]
    expect(not claims or workload["spec"]["replicas"] == 1, f"{name}: several on one volume")

for name, service in of_kind("Service").items():
    selector = service["spec"]["selector"]
    app = selector.get("app") or selector["statefulset.kubernetes.io/pod-name"].rsplit("-", 1)[0]
    for entry in service["spec"]["ports"]:
        expect(entry.get("targetPort", entry["port"]) == ports_of[app][entry["name"]],
               f"Service {name}: port {entry}")
for number in range(workloads["relay"]["spec"]["replicas"]):
    expect(("Service", f"relay-{number}") in objects, f"relay-{number} has no public Service")


# Who may talk to whom: what one side may say, the other must hear.
def talks(word, peer_word):
    found = set()
    for name, policy in of_kind("NetworkPolicy").items():
        if name not in SERVICES:
            continue
        expect(policy["spec"]["podSelector"]["matchLabels"] == {"app": name}, f"policy {name}")
        for rule in policy["spec"].get(word, []):
            for peer in rule.get(peer_word, []):
                if "ipBlock" in peer:
                    continue
                app = peer["podSelector"]["matchLabels"]["app"]
                for entry in rule["ports"]:
                    here, there = (app, name) if word == "ingress" else (name, app)
                    found.add((here, there, entry["port"]))
                    expect(entry["port"] in ports_of[there].values(),
                           f"policy {name}: {there} has no port {entry['port']}")
    return found


heard, said = talks("ingress", "from"), talks("egress", "to")
expect(heard == said, f"one side only: {sorted(heard ^ said)}")
BUS = {name: port(endpoint) for name, endpoint in config["bus"].items() if "tcp://" in endpoint}
# The sentence of docs/architecture.md, as pairs: whom each asks, and whose events it hears.
ASKS = {("gateway", name) for name in ("discovery", "routing", "relay", "metrics", "turn")} | {
    ("routing", "discovery"), ("routing", "relay"), ("metrics", "discovery"),
    ("relay", "discovery"), ("relay", "routing")}
HEARS = {("routing", "discovery"), ("routing", "relay"), ("metrics", "discovery"),
         ("metrics", "relay"), ("relay", "discovery"), ("relay", "relay"),
         ("gateway", "discovery"), ("gateway", "relay")}
MESH = {("relay", "relay", BUS["relay"] + 2)}
expect(said == {(a, b, BUS[b]) for a, b in ASKS} | {(a, b, BUS[b] + 1) for a, b in HEARS} | MESH,
       f"policies allow {sorted(said)}")
finish()
