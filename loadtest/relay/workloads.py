"""What is measured: each workload, by which servers, with which arguments of relay-load."""
import dataclasses

EVERY = ("relay", "haproxy", "nginx", "turn-udp", "turn-tcp")
STREAMS = ("relay", "haproxy", "nginx")
OURS = ("relay",)
IN_FLIGHT = 1280  # messages of all pairs together when a server is kept full


@dataclasses.dataclass(frozen=True)
class Cell:
    workload: str
    target: str
    layer: str
    arguments: tuple

    @property
    def is_idle(self):
        return self.workload.startswith("idle")


def flow(mode, pairs, window, batch=1, *more):
    return ("--mode", mode, "--pairs", pairs, "--window", max(window, 1), "--batch", batch, *more)


def table(quick):
    """name, targets, arguments"""
    counts = (1, 64) if quick else (1, 64, 256, 1000)
    rows = []
    for pairs in counts:
        rows.append((f"full-{pairs}", EVERY, flow("flow", pairs, min(max(IN_FLIGHT // pairs, 4), 160))))
    for pairs in counts:
        rows.append((f"full-batched-{pairs}", STREAMS, flow("flow", pairs, min(max(IN_FLIGHT // 8 // pairs, 2), 20), 8)))
    for pairs in (1, 64):
        rows.append((f"flight24-{pairs}", EVERY, flow("flow", pairs, 24)))
    for pairs in (20, 64) if quick else (20, 64, 256, 1000):
        rows.append((f"flight1-{pairs}", EVERY, flow("flow", pairs, 1)))
    rows.append(("paced-64", EVERY, flow("flow", 64, 1, 1, "--rate", 20000)))
    rows.append(("both-64", STREAMS, flow("both", 64, 20)))
    rows.append(("down-64", STREAMS, flow("flow", 64, 20, 1, "--down")))
    channels = 100 if quick else 1000
    rows.append((f"node-leg-up-{channels}", OURS, flow("flow", channels, 4, 1, "--trunk")))
    rows.append((f"node-leg-down-{channels}", OURS, flow("flow", channels, 4, 1, "--trunk", "--down")))
    rows.append(("echo-16", EVERY, flow("echo", 16, 1, 1, "--rate", 2000)))
    idle = 500 if quick else 10000
    rows.append((f"echo-16-beside-{idle}", STREAMS, flow("echo", 16, 1, 1, "--rate", 2000, "--idle", idle)))
    rows.append(("slow-200-of-400", ("relay", "haproxy"),
                 ("--mode", "slow", "--pairs", 1, "--greedy", 400, "--read", 200)))
    fair = ("--mode", "slow", "--pairs", 10, "--modest", 19, "--read", 200)
    at_random = (*fair, "--arrivals", "random")
    rows.append(("fair-ten-modest", OURS, (*fair, "--greedy", 19)))
    rows.append(("fair-ten-at-their-rate", OURS, (*fair, "--greedy", 19, "--ticket-rate", 2500)))
    rows.append(("fair-nine-and-a-greedy", OURS, (*fair, "--greedy", 400)))
    rows.append(("fair-ten-modest-random", OURS, (*at_random, "--greedy", 19)))
    rows.append(("fair-nine-and-a-greedy-random", OURS, (*at_random, "--greedy", 400)))
    rows.append(("fair-nine-and-one-over-its-rate", OURS, (*fair, "--greedy", 400, "--ticket-rate", 2500)))
    rows.append(("slow-1-of-5", ("relay", "haproxy"), ("--mode", "slow", "--pairs", 1, "--greedy", 5, "--read", 1,
                                                       "--warm-up", 3)))
    rows.append(("idle", STREAMS, ("--mode", "idle", "--idle", 1000 if quick else 8000)))
    return rows


def cells(options):
    chosen = []
    for name, targets, arguments in table(options.quick):
        if options.only and not any(name.startswith(word) for word in options.only):
            continue
        for layer in ("plain", "tls"):
            for target in targets:
                if layer == "tls" and target.startswith("turn"):
                    continue
                chosen.append(Cell(name, target, layer, tuple(map(str, arguments))))
    return chosen
