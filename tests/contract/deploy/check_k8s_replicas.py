"""deploy/k8s/replicas, as kubectl renders it: two of each, no file of their own, names that lead to all of them,
and an environment that each program accepts."""

import os
import re
import shutil
import subprocess

from checking import Host, expect, finish, skip
import checking

if shutil.which("kubectl") is None:
    skip("kubectl is not installed")
try:
    import yaml
except ImportError:
    skip("python3-yaml is not installed")

SECRETS = "/run/secrets/boson/"
REPLICAS = ("gateway", "discovery", "routing", "metrics")
done = subprocess.run(["kubectl", "kustomize", os.path.join(checking.deploy, "k8s", "replicas")],
                      capture_output=True, text=True)
expect(done.returncode == 0, f"kubectl kustomize: {done.stderr[:200]}")
objects = {(item["kind"], item["metadata"]["name"]): item for item in yaml.safe_load_all(done.stdout)}

host = Host()
keys, public = host.make_keys()
host.make_certificate(SECRETS + "tls.crt", SECRETS + "tls.key")
text = objects["ConfigMap", "boson-conf"]["data"]["boson.conf"]
host.write("boson.conf", host.inside(text, [SECRETS]), 0o644)
host.write(SECRETS + "bus.allow", open(os.path.join(keys, "allow"), encoding="utf-8").read())
host.write(SECRETS + "pgpass", "postgresql:5432:boson:boson:secret\n")
host.write(SECRETS + "redis.pass", "secret\n")
shutil.copy(host.path(SECRETS + "tls.crt"), host.path(SECRETS + "postgresql-ca.crt"))
for name in ("fleet.secret", "ticket.seed"):
    host.write(SECRETS + name, os.urandom(32).hex() + "\n")
bus_keys = {f"BOSON_BUS_{name.upper()}": key for name, key in public.items()}

for name in REPLICAS:
    spec = objects["Deployment", name]["spec"]
    pod = spec["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    expect(spec["replicas"] == 2, f"{name}: {spec['replicas']}")
    expect("emptyDir" in volumes["state"] and "persistentVolumeClaim" not in volumes["state"],
           f"{name}: keeps a file of its own")
    expect(("PersistentVolumeClaim", name) not in objects, f"{name}: a volume that nobody uses")
    expect(("PodDisruptionBudget", name) in objects, f"{name}: both may go at once")
    expect(volumes["shared"]["secret"]["secretName"] == f"{name}-shared", f"{name}: shared secrets")
    if name != "gateway":
        expect(objects["Service", name]["spec"]["clusterIP"] == "None",
               f"{name}: its name is not all replicas' addresses")
        expect(spec["strategy"]["type"] == "RollingUpdate", f"{name}: {spec['strategy']}")
    environment = dict(bus_keys)
    for entry in pod["containers"][0].get("env", []):
        environment[entry["name"]] = host.inside(entry.get("value", ""), [SECRETS])
    expect(re.search(f"schema={name}&", environment[f"BOSON_{name.upper()}_STORE"]),
           f"{name}: another's schema")
    host.write(SECRETS + "bus.secret",
               open(os.path.join(keys, f"{name}.secret"), encoding="utf-8").read())
    host.accepts(f"boson-{name}", host.path("boson.conf"), environment)
finish()
