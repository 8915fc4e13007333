#!/usr/bin/python3
"""bosonctl on running services: nodes, clients and relays are listed, shown, taken out; what it says
and exits with when there is nothing, when there is no such thing, and when nobody is there (L54).

usage: lists.py PROGRAMS_FOLDER    (77: a package is missing)"""

import json
import os
import subprocess
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../rest"))
try:
    from node import Identity, Leg, Node, enrol
    from rig import DEADLINE_SEC, Rig, await_true
except ImportError as missing:
    print("skipped: %s (apt-get install python3-jsonschema python3-cryptography)" % missing)
    sys.exit(77)

OK, UNAVAILABLE, TEMPFAIL = 0, 69, 75  # of sysexits.h
NODES = 55  # more than a page


class Operator:
    """Who has the configuration of one of the rig's processes."""

    def __init__(self, rig, name):
        self.rig, self.name = rig, name

    def run(self, *words):
        done = subprocess.run(
            ["%s/bosonctl" % self.rig.programs, "-c", "%s/%s.conf" % (self.rig.folder, self.name)]
            + list(words), env=self.rig.environment(), capture_output=True, text=True,
            timeout=DEADLINE_SEC)
        return done.returncode, done.stdout, done.stderr

    def list(self, *words):
        """One JSON object a line, and nothing else."""
        code, out, error = self.run(*words)
        assert code == OK and error == "", (words, code, error)
        return [json.loads(line) for line in out.splitlines()]

    def fail(self, wanted, said, *words):
        code, out, error = self.run(*words)
        assert code == wanted and out == "" and said in error, (words, code, out, error)


def show_nothing(operator):
    for words in [("nodes", "list"), ("nodes", "pending"), ("clients", "list"), ("relays", "list")]:
        assert operator.list(*words) == [], words


def show_nodes(rig, operator):
    nodes = [Node() for _ in range(NODES)]
    for node in nodes:
        node.token, node.ticket = enrol(rig, node)
    ids = sorted(node.id for node in nodes)
    assert sorted(row["nodeId"] for row in operator.list("nodes", "list")) == ids
    for words, n in [(("--status", "online"), NODES), (("--status", "offline"), 0),
                     (("--country", "DE"), NODES), (("--country", "FR"), 0),
                     (("--country", "DE", "--status", "online"), NODES)]:
        assert len(operator.list("nodes", "list", *words)) == n, words
    operator.fail(UNAVAILABLE, "the status is not one", "nodes", "list", "--status", "lazy")
    two = operator.list("nodes", "show", nodes[0].id, nodes[1].id)
    assert [row["publicKey"] for row in two] == [nodes[0].key, nodes[1].key]
    operator.list("nodes", "delete", nodes[1].id, nodes[2].id)
    operator.fail(UNAVAILABLE, "node_unknown", "nodes", "show", nodes[1].id)
    assert sorted(row["nodeId"] for row in operator.list("nodes", "list")) == sorted(
        set(ids) - {nodes[1].id, nodes[2].id})
    return nodes[0]


def show_clients(rig, operator, node, port):
    leg = Leg(port, node, node.ticket)
    client = Identity()

    def opened():
        answer = rig.ask("POST", "/api/v1/routing/request",
                         {"clientId": client.id, "publicKey": client.key,
                          "targetNodeId": node.id}, rig.key("client"))
        return answer.status == 200

    await_true(opened, "a route")
    rows = operator.list("clients", "list")
    assert [row["clientId"] for row in rows] == [client.id] and rows[0]["nodeId"] == node.id, rows
    assert operator.list("clients", "show", client.id)[0]["sessionId"] == rows[0]["sessionId"]
    operator.fail(UNAVAILABLE, "client_unknown", "clients", "show", str(uuid.uuid4()))
    leg.close()


def show_relays(rig, operator):
    """Those that take new legs; one that drains takes none."""
    operator.fail(UNAVAILABLE, "relays list", "relays", "drain", "nowhere")
    relay = await_true(lambda: operator.list("relays", "list"), "the relay's announcement")[0]
    assert relay["relayEndpoint"].startswith("ws://127.0.0.1:"), relay
    return relay["id"], int(relay["relayEndpoint"].rsplit(":", 1)[1])


def drain_relay(operator, relay):
    assert operator.run("relays", "drain", relay)[0] == OK
    await_true(lambda: operator.list("relays", "list") == [], "the relay to be out")


def miss_services(rig, operator):
    """What was there and is not any more: who does not answer, and what may be wrong."""
    for service, words in [("routing", ("clients", "list")), ("discovery", ("nodes", "list")),
                           ("discovery", ("relays", "list"))]:
        rig.processes[service].kill()
        rig.processes[service].wait()
        operator.fail(TEMPFAIL, service + " does not answer", *words)
        operator.fail(TEMPFAIL, "Is it running, and is its [bus] endpoint", *words)


def ask_bosond(programs):
    """All services in one process reach each other without a socket: bosonctl only where [bus] names
    one, and it says so where none does."""
    rig = Rig(programs, gateways=0, services=[])
    try:
        rig.spawn("bosond", "bosond", "bosond")
        operator = Operator(rig, "bosond")
        keys = await_true(lambda: operator.run("keys", "list")[1], "bosond to start")
        assert len(keys.splitlines()) == 3  # those of the first start
        operator.fail(TEMPFAIL, "one that other processes reach", "nodes", "list")
    finally:
        rig.stop()


def main():
    rig = Rig(sys.argv[1], services=["discovery", "routing"])
    operator = Operator(rig, "gateway0")
    try:
        await_true(lambda: rig.ask("GET", "/health").status == 200, "the services")
        show_nothing(operator)
        node = show_nodes(rig, operator)
        rig.start("relay")
        relay, port = show_relays(rig, operator)
        show_clients(rig, operator, node, port)
        drain_relay(operator, relay)
        miss_services(rig, operator)
    except BaseException:
        rig.show_logs()
        raise
    finally:
        rig.stop()
    ask_bosond(sys.argv[1])


if __name__ == "__main__":
    main()
