"""Pods without a cluster: what a kubelet does with a manifest's volumes, init containers, program and probes, by mount and
network namespaces of this machine. The image's root is this system's /usr, with the programs in /usr/local/bin. Its
pods share one network, in which each Service's name is 127.0.0.1: their ports differ."""

import os
import re
import shlex
import subprocess
import tempfile
import time

import checking

GROUP_FILE, GROUP_FOLDER = 0o660, 0o2770


class NotHere(Exception):
    pass


def give_to_group(path, gid, policy):
    """fsGroup: the group gets all below a volume at each start; with OnRootMismatch only if the root is not so yet."""
    status = os.stat(path)
    if (policy == "OnRootMismatch" and status.st_gid == gid and
            status.st_mode & GROUP_FOLDER == GROUP_FOLDER):
        return
    for folder, _, files in os.walk(path):
        for name in files:
            file = os.path.join(folder, name)
            if not os.path.islink(file):
                os.chown(file, -1, gid)
                os.chmod(file, os.stat(file).st_mode & 0o7777 | GROUP_FILE)
        os.chown(folder, -1, gid)
        os.chmod(folder, os.stat(folder).st_mode & 0o7777 | GROUP_FOLDER)


class Pod:
    def __init__(self, cluster, name, spec):
        self.cluster, self.spec, self.container = cluster, spec, spec["containers"][0]
        self.folder = tempfile.mkdtemp(prefix=f"{name}.", dir=cluster.folder)
        self.log_path = os.path.join(self.folder, "log")
        context = spec["securityContext"]
        self.user = ["setpriv", f"--reuid={context['runAsUser']}", f"--regid={context['runAsGroup']}",
                     f"--groups={context['fsGroup']}", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        lines = ["mount --make-rprivate /"] + [self.volume(volume) for volume in spec["volumes"]]
        for number, one in enumerate(spec["initContainers"]):
            lines += self.root(f"init{number}", one) + [self.command(f"init{number}", one)]
        lines += self.root("main", self.container) + ["exec " + self.command("main", self.container)]
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(cluster.inside + ["unshare", "-m", "sh", "-euc", "\n".join(lines)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def volume(self, volume):
        """Makes it; the line that mounts it, where it lives in memory."""
        path, gid = os.path.join(self.folder, volume["name"]), self.spec["securityContext"]["fsGroup"]
        if "persistentVolumeClaim" in volume:
            kept = os.path.join(self.cluster.folder, "claims", volume["persistentVolumeClaim"]["claimName"])
            os.makedirs(kept, exist_ok=True)
            give_to_group(kept, gid, self.spec["securityContext"].get("fsGroupChangePolicy", "Always"))
            os.symlink(kept, path)
            return ":"
        os.makedirs(path)
        if "emptyDir" in volume:
            size = volume["emptyDir"].get("sizeLimit", "1Gi").replace("i", "")
            return f"mount -t tmpfs -o size={size},mode=2777,gid={gid} tmpfs {path}"
        source = volume.get("secret", {}).get("secretName") or volume["configMap"]["name"]
        for key, text in self.cluster.sources[source].items():
            with open(os.path.join(path, key), "w", encoding="utf-8") as file:
                file.write(text)
        give_to_group(path, gid, "Always")
        return ":"

    def root(self, label, container):
        """A root of its own: this system's programs, a small /etc, the container's mounts; then nothing is writable."""
        at = os.path.join(self.folder, "root-" + label)
        lines = [f"mkdir {at}", f"mount -t tmpfs tmpfs {at}", f"cd {at}",
                 "mkdir -p usr etc/boson proc dev tmp run var/lib", "cp -a /bin /sbin /lib* .",
                 "for file in passwd group nsswitch.conf ld.so.cache; do "
                 "[ ! -e /etc/$file ] || cp -L /etc/$file etc; done",
                 "mount --rbind /usr usr", f"mount --bind {checking.programs} usr/local/bin", "mount --rbind /proc proc",
                 "mount --rbind /dev dev", f"cp {self.cluster.hosts} etc/hosts"]
        for mount in container["volumeMounts"]:
            source, target = os.path.join(self.folder, mount["name"]), mount["mountPath"].lstrip("/")
            if "subPath" in mount:
                source = os.path.join(source, mount["subPath"])
                lines.append(f"touch {target}")
            else:
                lines.append(f"mkdir -p {target}")
            lines.append(f"mount --bind {source}{'' if 'subPath' in mount else '/'} {target}")
            if mount.get("readOnly"):
                lines.append(f"mount -o remount,bind,ro {target}")
        assert container["securityContext"]["readOnlyRootFilesystem"]
        return lines + [f"mount -o remount,ro {at}", "cd /"]

    def environment(self, container):
        made = dict(self.cluster.environment) if container.get("envFrom") else {}
        made["PATH"] = "/usr/local/bin:/usr/bin:/bin"
        for entry in container.get("env", []):
            path = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            value = {"metadata.name": "relay-0", "status.podIP": "127.0.0.1"}[path] if path else entry["value"]
            made[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda match: made[match[1]], value)
        return ["env", "-i"] + [f"{key}={value}" for key, value in made.items()]

    def command(self, label, container):
        return shlex.join(["chroot", os.path.join(self.folder, "root-" + label)] + self.user +
                          self.environment(container) + container["command"])

    def answers(self, probe):
        get = self.container[probe]["httpGet"]
        port = {entry["name"]: entry["containerPort"] for entry in self.container["ports"]}[get["port"]]
        return subprocess.run(self.cluster.inside + ["curl", "-sf", "--max-time", "1", "-o", "/dev/null",
                                                     f"http://127.0.0.1:{port}{get['path']}"]).returncode == 0

    def run(self, *command):
        """kubectl exec."""
        return subprocess.run(["nsenter", "-t", str(self.process.pid), "-m", "-n", "-r", "-w"] + self.user +
                              self.environment(self.container) + list(command),
                              capture_output=True, text=True, timeout=90)

    def log(self):
        with open(self.log_path, encoding="utf-8") as log:
            return " | ".join(log.read().splitlines()[-6:])

    def stop(self, patience_sec):
        self.process.terminate()
        try:
            return self.process.wait(patience_sec)
        except subprocess.TimeoutExpired:
            return None

    def kill(self):
        self.process.kill()
        self.process.wait()


class Cluster:
    def __init__(self, host, sources, environment, names):
        self.sources, self.environment = sources, environment
        self.space = f"bp{os.getpid()}"
        self.folder = host.path("pods", "")
        os.chmod(host.root, 0o755)  # pods have another user
        self.hosts = os.path.join(self.folder, "hosts")
        with open(self.hosts, "w", encoding="utf-8") as file:
            file.write("".join(f"127.0.0.1 {name}\n" for name in ("localhost",) + tuple(names)))
        made = subprocess.run(["ip", "netns", "add", self.space], capture_output=True, text=True)
        if made.returncode != 0:
            raise NotHere(f"no network namespace: {made.stderr.strip()}")
        self.inside = ["ip", "netns", "exec", self.space]
        subprocess.run(self.inside + ["ip", "link", "set", "lo", "up"], check=True)
        if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
            self.end()
            raise NotHere("no mount namespace")

    def start(self, name, workload):
        return Pod(self, name, workload["spec"]["template"]["spec"])

    def end(self):
        subprocess.run(["ip", "netns", "delete", self.space])
