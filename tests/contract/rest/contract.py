#!/usr/bin/python3
"""The contract of the REST API, walked: every endpoint that GET /openapi.json names, with its
success and each error that it names for it, on the real services; each answer is checked against the
document, and the document itself against OpenAPI. An endpoint without a walk fails, an error that
nothing here has shown fails.

usage: contract.py PROGRAMS_FOLDER    (77: a package is missing)"""

import os
import re
import sys
import time

try:
    import faults
    import refusals
    import walks
    from description import Description
    from rig import Rig
except ImportError as missing:
    print("skipped: %s (apt-get install python3-jsonschema python3-cryptography)" % missing)
    sys.exit(77)

START = time.monotonic()
PAGE = os.path.join(os.path.dirname(__file__), "../../../docs/rest.md")

# 500 is a defect: that it is described is all that can be shown of it. A node that was deleted has
# no token any more; 404 is for the moment in which another gateway has not heard of it.
NEVER = {500}
NEVER_OF = {("POST", "/nodes/{nodeId}/heartbeat"): {404}}


def check_the_page_has_each_row(description):
    """docs/rest.md: its first table, with the parameters after the question mark."""
    told, rows = set(), set()
    with open(PAGE, encoding="utf-8") as page:
        for methods, paths in re.findall(r"^\| ([A-Z]+(?:, [A-Z]+)*) (`/.*?)\|", page.read(), re.MULTILINE):
            for target in re.findall(r"`(/.*?)`", paths):
                path, _, names = target.partition("?")
                for method in methods.split(", "):
                    told.add((method, path, frozenset(names.split("&")) - {""}))
    for method, path, operation in description.rows():
        rows.add((method, path, frozenset(parameter["name"] for parameter in operation["parameters"]
                                          if parameter["in"] == "query")))
    assert told == rows, "docs/rest.md lacks %s; has beyond that %s" % (rows - told, told - rows)


def check_all_was_seen(description):
    missing = []
    for method, path, operation in description.rows():
        said = {int(status) for status in operation["responses"]}
        left = said - description.seen.get((method, path), set()) - NEVER
        left -= NEVER_OF.get((method, path), set())
        if left:
            missing.append("%s %s: %s" % (method, path, sorted(left)))
    if missing:
        raise AssertionError("described, and not shown:\n" + "\n".join(missing))


def run_other_policies(programs, description):
    """Enrolment by approval and for anyone: what of it the API shows."""
    for policy, fn in [("approval", refusals.enrol_by_approval), ("open", refusals.enrol_anyone)]:
        rig = Rig(programs, enrolment=policy, services=["discovery"])
        try:
            fn(walks.World(rig, description, ["discovery"]))
        except BaseException:
            rig.show_logs()
            raise
        finally:
            rig.stop()


def run(rig):
    description = Description(rig.ask("GET", "/api/v1/openapi.json"))
    walks.check_each_row_has_a_walk(description)
    check_the_page_has_each_row(description)
    world = walks.World(rig, description)
    for name, fn in walks.SUCCESSES + refusals.REFUSALS:
        print("walk: %s (at %.1f s)" % (name, time.monotonic() - START))
        fn(world)
    for fn in [faults.walk_requests_that_are_no_good, faults.walk_slow_bodies, faults.walk_rates,
               faults.walk_rooms, faults.walk_main_services_that_are_down,
               refusals.refuse_samples_said_before, refusals.check_nothing_leaks,
               faults.walk_other_services_that_are_down]:
        print("walk: %s (at %.1f s)" % (fn.__name__, time.monotonic() - START))
        fn(world)
    print("other policies (at %.1f s)" % (time.monotonic() - START))
    run_other_policies(rig.programs, description)
    check_all_was_seen(description)
    answers = sum(len(statuses) for statuses in description.seen.values())
    print("%d endpoints, %d kinds of answers" % (len(list(description.rows())), answers))


def main():
    rig = Rig(sys.argv[1])
    try:
        run(rig)
    except BaseException:
        rig.show_logs()
        raise
    finally:
        rig.stop()


if __name__ == "__main__":
    main()
