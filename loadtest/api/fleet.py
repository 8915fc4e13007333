#!/usr/bin/python3
"""fleet.py PORT STATE: enrols nodes at the gateway, opens their legs, says yes to every session, and
prints one line of JSON: what wrk needs to speak as one of them and as a client. Ends with its
standard input."""

import json
import sys
import urllib.request

sys.path.insert(0, __file__.rsplit("/", 3)[0] + "/tests/contract/rest")
from node import Leg, Node  # noqa: E402


NODES, CLIENTS_MAX = 16, 10000


def post(port, path, body, headers):
    request = urllib.request.Request("http://127.0.0.1:%s/api/v1%s" % (port, path), body,
                                     dict(headers, **{"Content-Type": "application/json"}))
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def key(state, name):
    with open("%s/gateway/%s.key" % (state, name)) as line:
        return line.read().strip()


def register(port, state, node):
    challenge = post(port, "/nodes/challenge", json.dumps(node.challenge_body()).encode(), {})
    body = node.register_body(capabilities={
        "maxConnections": CLIENTS_MAX, "bandwidth": {"up": 1000, "down": 1000}, "routing": True,
        "natting": True})
    name, proof = node.proof(challenge, body).split(": ", 1)
    return post(port, "/nodes/register", body, {
        name: proof, "Authorization": "Bearer " + key(state, "node")})


def main():
    port, state = sys.argv[1:]
    for _ in range(NODES):
        node, relays = Node(), []
        while not relays:  # until the relay has announced itself
            answer = register(port, state, node)
            relays = answer["relayServers"]
        Leg(relays[0]["port"], node, answer["relayTicket"])
    print(json.dumps({"node": node.id, "token": answer["sessionToken"],
                      "client": key(state, "client")}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
