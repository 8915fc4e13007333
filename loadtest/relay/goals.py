"""What the relay is meant to reach beside the others, and whether a run's figures do."""
import statistics

SATURATED = ("full-", "flight24-", "both-", "down-")


def figures_of(results, workload, target, layer, name):
    return results.get((workload, target, layer), {}).get(name)


def ratio(results, workload, layer, peer, name):
    """Ours to theirs of the same round, which are measured one after the other: a machine that changes its pace
    between rounds changes both. The median, and all; None and nothing where one was not measured."""
    ours, theirs = (results.get((workload, target, layer), {}) for target in ("relay", peer))
    before = dict(zip(theirs.get("round", ()), theirs.get(name, ())))
    ratios = [value / before[number] for number, value in zip(ours.get("round", ()), ours.get(name, ()))
              if before.get(number)]
    return (statistics.median(ratios) if ratios else None), ratios


def median(results, workload, layer, name, target="relay"):
    values = figures_of(results, workload, target, layer, name)
    return statistics.median(values) if values else None


def beside_haproxy(results):
    for workload, target, layer in results:
        if target == "relay" and workload.startswith(SATURATED):
            least = 1.0 if layer == "plain" else 1.1
            yield (f"{workload} {layer}: of HAProxy's figure", ratio(results, workload, layer, "haproxy",
                                                                     "gbit_per_core_second")[0], ">=", least)


def beside_others(results):
    for workload in ("full-64", "flight24-64"):
        yield (f"{workload} plain: of coturn's by TCP", ratio(results, workload, "plain", "turn-tcp",
                                                              "gbit_per_core_second")[0], ">=", 4)
    for layer in ("plain", "tls"):
        yield (f"paced-64 {layer}: us a message, of nginx's", ratio(results, "paced-64", layer, "nginx",
                                                                    "us_per_message")[0], "<=", 1)
        for workload in sorted({key[0] for key in results if key[0].startswith("echo")}):
            yield (f"{workload} {layer}: p99, of HAProxy's", ratio(results, workload, layer, "haproxy", "p99_us")[0],
                   "<=", 1)


def of_our_own(results):
    yield ("idle plain: bytes a leg", median(results, "idle", "plain", "rss_bytes_each"), "<=", 1024)
    for layer in ("plain", "tls"):
        few, many = (median(results, f"flight1-{pairs}", layer, "us_per_message") for pairs in (20, 1000))
        yield (f"flight1 {layer}: us a message with 1000 pairs, of 20 pairs'", many / few if few and many else None,
               "<=", 1.2)
        delay = median(results, "slow-200-of-400", layer, "delay_p99_us")
        yield (f"slow-200-of-400 {layer}: p99 ms", delay / 1000 if delay else None, "<=", 15)
        for kind in ("", "-random"):
            # Of 50 ms: with a pause of the machine in one of both they are not to be compared.
            alone, beside = (results.get((f"{name}{kind}", "relay", layer), {}).get("delay_slice_p99_us")
                             for name in ("fair-ten-modest", "fair-nine-and-a-greedy"))
            yield (f"fair{kind} {layer}: modest p99 beside a greedy one, of it alone",
                   statistics.median(b / a for a, b in zip(alone, beside)) if alone and beside else None, "<=", 1.2)
            yield (f"fair{kind} {layer}: Jain's index", median(results, f"fair-nine-and-a-greedy{kind}", layer, "jain"),
                   ">=", 0.95)


def show(results):
    rows = [row for part in (beside_haproxy, beside_others, of_our_own) for row in part(results) if row[1] is not None]
    if not rows:
        return
    held = [value >= bound if sign == ">=" else value <= bound for _, value, sign, bound in rows]
    print(f"\ngoals: {sum(held)} of {len(rows)} reached; medians of the rounds' own ratios")
    for (what, value, sign, bound), is_held in zip(rows, held):
        print(f"  {'reached' if is_held else 'MISSED ':8} {what}: {value:.3g} (goal {sign} {bound:g})")
