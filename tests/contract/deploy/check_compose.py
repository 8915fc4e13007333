"""deploy/compose: each service's configuration passes -n, ports, names and keys agree, and the images
install every library that their programs are linked with."""

import glob
import os
import re
import subprocess

from checking import (SERVICES, Host, expect, finish, load_yaml, port, read, sections)
import checking

stack = load_yaml(os.path.join(checking.deploy, "compose", "compose.yaml"))[0]
services = stack["services"]
text = read("compose", "boson.conf")
config = sections(text)

host = Host()
keys, public = host.make_keys()
os.makedirs(host.path("etc/boson/"), exist_ok=True)
os.rename(keys, host.path("etc/boson/keys"))
host.make_certificate("etc/boson/tls/chain.pem", "etc/boson/tls/key.pem")
conf = text + "".join(f"{key} = {value}\n" for key, value in public.items())
host.write("etc/boson/boson.conf", host.inside(conf, ["/etc/boson/"]), 0o644)

for name in SERVICES:
    service = services[name]
    environment = {key: host.inside(value, ["/etc/boson/"])
                   for key, value in service["environment"].items()}
    expect(service["command"] == [f"boson-{name}", "-c", "/etc/boson/boson.conf"],
           f"{name}: runs {service['command']}")
    host.accepts(f"boson-{name}", host.path("etc/boson/boson.conf"), environment)
    # The check above would also pass with another's secret, where no key was named.
    expect(service["environment"]["BOSON_BUS_CURVE_SECRET"] == f"/etc/boson/keys/{name}.secret",
           f"{name}: another's secret")
    others = config["bus"][name]
    expect(others == f"tcp://{name}:{port(others)}", f"[bus] {name} is not the container's name")
    expect(port(service["environment"][f"BOSON_BUS_{name.upper()}"]) == port(others),
           f"{name}: bound to another port than others look for")
    expect(service["cap_drop"] == ["ALL"] and service["read_only"], f"{name}: not confined")
    for volume in service["volumes"]:
        expect(volume.split(":")[0] in stack["volumes"], f"{name}: {volume} is no volume")
expect(services["relay"]["environment"]["BOSON_RELAY_ANNOUNCE_BUS"] == config["bus"]["relay"],
       "the relay announces another mailbox than [bus] names")
expect(services["relay"]["environment"]["BOSON_BUS_RELAY"] != config["bus"]["relay"],
       "the relay would bind a name")

for name in ("gateway", "relay"):
    listen = port(config[name]["listen"])
    published = [f"127.0.0.1:{listen}:{listen}"]
    if name == "relay":
        udp = port(config[name]["udp_listen"])
        published.append(f"127.0.0.1:{udp}:{udp}/udp")
        expect(config[name]["udp_public"] == f"relay:{udp}", "what stock apps are told")
    expect(services[name]["ports"] == published,
           f"{name}: published is {services[name]['ports']}, listening {listen}")
expect(config["relay"]["public_url"] == f"wss://relay:{port(config['relay']['listen'])}",
       "the relay's public name")

node = sections(read("compose", "higgs.conf"))
expect(node["agent"]["server"] == f"https://gateway:{port(config['gateway']['listen'])}",
       "the node looks for the gateway elsewhere")
host.write("etc/higgs/node.key", "k" * 64 + "\n")
host.write("etc/higgs/ca.pem", open(host.path("etc/boson/tls/chain.pem")).read(), 0o644)
host.write("etc/higgs/higgs.conf",
           host.inside(read("compose", "higgs.conf"), ["/etc/higgs/"]), 0o644)
for name in ("agent", "forwarder"):
    expect(services[name]["command"] == [f"higgs-{name}", "-c", "/etc/higgs/higgs.conf"],
           f"{name}: runs {services[name]['command']}")
    host.accepts(f"higgs-{name}", host.path("etc/higgs/higgs.conf"), {})
expect(services["forwarder"]["cap_add"] == ["NET_ADMIN"] and "cap_add" not in services["agent"],
       "NET_ADMIN is the forwarder's alone")

# A target of the Containerfile for each image, and every program that is started is installed.
containerfile = read("compose", "Containerfile")
for name, service in services.items():
    target = service["image"].removeprefix("localhost/boson-")
    expect(f" AS {target}\n" in containerfile, f"{name}: no target {target}")


def printed(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# Every Debian has these.
elsewhere = re.compile(r"libc\.so|libm\.so|libgcc_s|ld-linux")
for target, programs in (("server", "boson*"), ("node", "higgs*")):
    installed = containerfile.split(f" AS {target}\n")[1].split("\nFROM ")[0].split()
    linked = set()
    for program in glob.glob(os.path.join(checking.programs, programs)):
        linked.update(re.findall(r"NEEDED +(\S+)", printed("objdump", "-p", program)))
    if any(re.match("lib[a-z]*san", name) for name in linked):
        print(f"{target}: a sanitizer's build is linked with more than is used, so it shows nothing")
        continue
    libraries = {name for name in linked if not elsewhere.match(name)}
    expect(len(libraries) > 5, f"{target}: its programs are linked with {libraries}")
    for library in sorted(libraries):
        package = printed("dpkg", "-S", f"*/{library}").split(":")[0]
        expect(package in installed, f"{target}: its image lacks {package} ({library})")
finish()
