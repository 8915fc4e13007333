"""What the checks of deploy/ share: complaints that are counted, and programs run with -n.

Arguments of each check: the deploy folder, the folder of the built programs."""

import os
import re
import subprocess
import sys
import tempfile

SERVICES = ("gateway", "discovery", "routing", "relay", "metrics", "turn")

deploy, programs = (os.path.abspath(path) for path in sys.argv[1:3])
complaints = []
checks = 0


def expect(held, complaint):
    global checks
    checks += 1
    if not held:
        complaints.append(complaint)


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def load_yaml(path):
    try:
        import yaml
    except ImportError:
        skip("python3-yaml is not installed")
    with open(path, encoding="utf-8") as file:
        return [part for part in yaml.safe_load_all(file) if part is not None]


def read(*path):
    with open(os.path.join(deploy, *path), encoding="utf-8") as file:
        return file.read()


def program(name):
    return os.path.join(programs, name)


def sections(text):
    """{section: {key: value}} of one of our configuration files."""
    found, section = {}, None
    for line in text.splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line:
            key, value = line.split("=", 1)
            section[key.strip()] = value.strip()
    return found


def port(address):
    return int(address.rsplit(":", 1)[1])


def grace_sec(pod):
    """What a pod's program has from SIGTERM to SIGKILL."""
    hook = pod["containers"][0].get("lifecycle", {}).get("preStop")
    return pod["terminationGracePeriodSeconds"] - (float(hook["exec"]["command"][1]) if hook else 0)


class Host:
    """A folder that stands for a container's root: keys and a certificate are made in it."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="boson-test-deploy-")
        self.root = self.folder.name

    def path(self, *names):
        made = os.path.join(self.root, *(name.lstrip("/") for name in names))
        os.makedirs(os.path.dirname(made), exist_ok=True)
        return made

    def write(self, path, text, mode=0o600):
        with open(self.path(path), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(path), mode)

    def make_keys(self):
        """The lines of bus.conf as {key: value}."""
        folder = self.path("bus-keys")
        made = subprocess.run([program("bosonctl"), "keys", "curve", folder], check=True,
                              capture_output=True, text=True)
        return folder, sections(made.stdout)["bus"]

    def make_certificate(self, certificate, key):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=test",
                        "-keyout", self.path(key), "-out", self.path(certificate)],
                       check=True, capture_output=True)
        os.chmod(self.path(key), 0o600)

    def inside(self, text, folders):
        """The same text with absolute paths below these folders moved into this root."""
        for folder in folders:
            text = text.replace(folder, self.root + folder)
        return text

    def accepts(self, name, config, environment, exit_code=0):
        done = subprocess.run([program(name), "-n", "-c", config], env=environment,
                              capture_output=True, text=True)
        expect(done.returncode == exit_code,
               f"{name} -n: exit {done.returncode}: {done.stderr.strip()}")


def finish():
    for complaint in complaints:
        print("FAILED:", complaint)
    print(f"{checks - len(complaints)} checks held, {len(complaints)} failed")
    sys.exit(1 if complaints or checks == 0 else 0)
