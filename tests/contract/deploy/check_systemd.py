"""deploy/systemd: each unit is sound to systemd-analyze, with the built programs in their places."""

import glob
import os
import shutil
import subprocess

from checking import Host, expect, finish, programs, read, skip
import checking

if not shutil.which("systemd-analyze"):
    skip("systemd-analyze is not installed")
host = Host()
units = sorted(glob.glob(os.path.join(checking.deploy, "systemd", "*.service")))
expect(len(units) == 3, f"units are {units}")
moved = []
for unit in units:
    name = os.path.basename(unit)
    host.write(name, read("systemd", name).replace("/usr/local/bin", programs), 0o644)
    moved.append(host.path(name))
# All at once: they name each other.
done = subprocess.run(["systemd-analyze", "verify", "--man=no", *moved], capture_output=True,
                      text=True)
said = [line for line in done.stderr.splitlines() if host.root in line or "boson" in line]
expect(done.returncode == 0 and not said, f"exit {done.returncode}: {done.stderr.strip()}")
finish()
