"""The table, the JSON and the drawing of a run's figures."""
import json
import os
import pathlib
import platform
import statistics
import subprocess

import goals

COLOURS = {"relay": "#1b6e53", "haproxy": "#8a8f98", "nginx": "#c4a24a", "turn-udp": "#b06a5a", "turn-tcp": "#7d6aa8"}


def median(figures, name):
    return statistics.median(figures[name]) if name in figures else None


def spread(figures, name):
    values = figures[name]
    return f"{statistics.median(values):g} [{min(values):g}-{max(values):g}]"


def beside(results, workload, target, layer):
    value, values = goals.ratio(results, workload, layer, target, "gbit_per_core_second")
    return f"  relay x{value:.2f} [{min(values):.2f}-{max(values):.2f}]" if values else ""


def build_type(build):
    for line in (pathlib.Path(build) / "CMakeCache.txt").read_text().splitlines():
        if line.startswith("CMAKE_BUILD_TYPE"):
            return line.split("=", 1)[1] or "none"
    return "unknown"


def version_of(*command):
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        return ((result.stdout or result.stderr).splitlines() or ["?"])[0].split(" - ")[0]
    except FileNotFoundError:
        return "absent"


def circumstances(options):
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                  if line.startswith("model name")), "?")
    return {"build": build_type(options.build), "processors": os.cpu_count(), "processor": model,
            "kernel": platform.release(), "rounds": options.rounds, "seconds": options.seconds,
            "load_average": os.getloadavg()[0], "haproxy": version_of("haproxy", "-v"),
            "nginx": version_of("nginx", "-v"), "coturn": version_of("turnserver", "--version")}


def kind_of(workload):
    if workload.startswith("echo"):
        return "echo"
    if workload.startswith(("slow", "fair")):
        return "slow"
    return "idle" if workload.startswith("idle") else "flow"


COLUMNS = {
    "flow": (("gbit_per_core_second", "Gbit per core second"), ("us_per_message", "us a message"),
             ("server_busy", "busy"), ("lost", "lost")),
    "echo": (("p50_us", "p50 us"), ("p99_us", "p99 us"), ("p999_us", "p99.9 us"), ("us_per_message", "us a message")),
    "slow": (("delay_p50_us", "p50 us"), ("delay_p99_us", "p99 us"), ("delay_slice_p99_us", "p99 us of 50 ms"),
             ("goodput_mbit", "Mbit/s"), ("jain", "Jain"),
             ("greedy_mbit", "greedy Mbit/s"), ("modest_lost", "lost")),
    "idle": (("rss_bytes_each", "bytes a connection"),),
}


def show_table(results, kind):
    keys = [key for key in results if kind_of(key[0]) == kind]
    if not keys:
        return
    print(f"\n{'workload':32} {'server':9} {'':5} " + " ".join(f"{title:>24}" for _, title in COLUMNS[kind]))
    before = None
    for workload, target, layer in sorted(keys, key=lambda key: (list(dict.fromkeys(k[0] for k in keys)).index(key[0]),
                                                                 key[2], list(COLOURS).index(key[1]))):
        figures = results[workload, target, layer]
        cells = [spread(figures, name) if name in figures else "" for name, _ in COLUMNS[kind]]
        print(f"{workload if workload != before else '':32} {target:9} {layer:5} "
              + " ".join(f"{cell:>24}" for cell in cells)
              + (beside(results, workload, target, layer) if kind == "flow" and target != "relay" else ""))
        before = workload


def bars(results):
    """(workload, layer, [(target, median, least, most)]) of the flows."""
    groups = {}
    for (workload, target, layer), figures in results.items():
        if kind_of(workload) == "flow":
            values = figures["gbit_per_core_second"]
            groups.setdefault((workload, layer), []).append((target, statistics.median(values), min(values), max(values)))
    return groups


def draw(results, about, path):
    groups, row, left, width = bars(results), 14, 190, 760
    top = max((bar[3] for group in groups.values() for bar in group), default=1)
    lines, y = [], 46
    for (workload, layer), group in groups.items():
        lines.append(f'<text x="{left - 8}" y="{y + 10}" text-anchor="end">{workload}, {layer}</text>')
        for target, middle, least, most in group:
            scale = (width - left - 90) / top
            lines.append(f'<rect x="{left}" y="{y}" width="{middle * scale:.1f}" height="{row - 3}" '
                         f'fill="{COLOURS[target]}"/>')
            lines.append(f'<line x1="{left + least * scale:.1f}" x2="{left + most * scale:.1f}" y1="{y + 5.5}" '
                         f'y2="{y + 5.5}" stroke="#222"/>')
            lines.append(f'<text x="{left + most * scale + 6:.1f}" y="{y + 10}">{middle:.2f}</text>')
            y += row
        y += 8
    legend = "".join(f'<rect x="{left + 100 * i}" y="26" width="10" height="10" fill="{colour}"/>'
                     f'<text x="{left + 14 + 100 * i}" y="35">{target}</text>'
                     for i, (target, colour) in enumerate(COLOURS.items()))
    pathlib.Path(path).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + 10}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="10" y="16" font-size="13">Gbit of datagrams per second of the server\'s processor time '
        f'({about["build"]}, {about["rounds"]} rounds, median, least to most)</text>{legend}{"".join(lines)}</svg>\n',
        encoding="utf-8")


def show(results, options):
    about = circumstances(options)
    print(f"\nbuild {about['build']}, {about['processors']} x {about['processor']}, Linux {about['kernel']}, "
          f"{about['rounds']} rounds of {about['seconds']} s\n{about['haproxy']}; {about['nginx']}; coturn "
          f"{about['coturn']}\nserver on CPU 0, generator on CPU 1; median [least-most]; Gbit of datagrams")
    for kind in COLUMNS:
        show_table(results, kind)
    goals.show(results)
    if options.json:
        cells = [{"workload": workload, "server": target, "layer": layer,
                  "median": {name: statistics.median(values) for name, values in figures.items()}, "all": figures}
                 for (workload, target, layer), figures in results.items()]
        pathlib.Path(options.json).write_text(json.dumps({"about": about, "cells": cells}, indent=1) + "\n",
                                              encoding="utf-8")
    if options.svg:
        draw(results, about, options.svg)
