"""What each endpoint refuses for reasons of its own: fields, callers and things. Refusals that are
alike everywhere (framing, tokens, sizes, rates, services that are down) are in faults.py."""

import json
import uuid

from node import Identity, Node
from rig import await_true
from walks import route_or_none, datagram, as_base64, sample, iso

REFUSALS = []


def refusal(fn):
    REFUSALS.append((fn.__name__, fn))
    return fn


@refusal
def refuse_what_is_no_registration(world):
    node = Node()

    def bad(code, field, **more):
        body = node.register_body(**more)
        challenge = world.challenge(node)
        answer = world.ask("POST", "/nodes/register", body, world.enrol_key,
                           [node.proof(challenge, body)], status=400)
        assert answer.code == code and answer.json["error"].get("field") == field, (more, answer)

    bad("field", "nodeId", nodeId=7)  # R43
    bad("field", "nodeId", nodeId="%s\r\ninfo gateway forged" % node.id)  # R45
    bad("field", "publicKey", publicKey="AAAA")  # R47
    for port, code in [("51820", "field"), (51820.5, "field"), (-1, "range"), (0, "field"),
                       (65536, "field")]:  # R59
        bad(code, "networkInfo.localPort", networkInfo={"localPort": port})
    for address in ["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"]:  # R57, P09
        bad("address", "networkInfo.ipv4", networkInfo={"ipv4": address})
    bad("field", "location.country", location={"country": "USA"})  # R61
    for seconds in [9, 301]:  # R63
        bad("range", "heartbeatInterval", heartbeatInterval=seconds)


@refusal
def refuse_registrations_without_a_good_proof(world):
    """R51, R53, R55: no proof, another's, one for another body; all look alike."""
    node, other = Node(), Node()
    body = node.register_body()
    challenge = world.challenge(node)
    for headers in [[], ["Higgs-Proof: v1 a.b.c"], [other.proof(challenge, body)],
                    [node.proof(challenge, body + b" ")], [node.proof(challenge, body, "client")]]:
        world.refuse(401, "challenge", None, "POST", "/nodes/register", body, world.enrol_key,
                     headers)


@refusal
def refuse_registrations_that_are_not_allowed_or_taken(world):
    """R49, P01: a good proof of another key for a known id, and of a known key for another id."""
    known, stranger = world.node, Node()
    thief = Node(identifier=known.id)
    assert world.register(stranger, None, 401).code == "enrolment"
    answer = world.register(thief, world.enrol_key, 409)
    assert answer.code == "identity_in_use", answer
    double = Node(private=known.private)
    answer = world.register(double, world.enrol_key, 409)
    assert answer.code == "key_in_use", answer


@refusal
def refuse_bad_fields_of_other_bodies(world):
    node, client = world.node, Identity()
    bad = world.refuse
    bad(400, "field", "nodeId", "POST", "/nodes/challenge", {"publicKey": node.key})
    bad(400, "field", "status", "POST", "/nodes/{nodeId}/heartbeat", {"status": "asleep"},
        node.token, nodeId=node.id)
    for path in ["/routing/challenge", "/routing/request"]:
        bad(400, "field", "clientId", "POST", path, {"publicKey": client.key}, world.client_key)
        bad(400, "field", "publicKey", "POST", path, {"clientId": client.id}, world.client_key)
    bad(400, "field", "failedNodeId", "POST", "/routing/request",
        world.route_body(client, failedNodeId="x"), world.client_key)
    for value in [-1, 1e308]:  # R83
        bad(400, "range", "requirements.minBandwidth", "POST", "/routing/request",
            world.route_body(client, requirements={"minBandwidth": value}), world.client_key)
    bad(400, "field", "nodeId", "POST", "/metrics", {"timestamp": 1}, node.token)
    for path in ["/wireguard/register", "/wireguard/unregister"]:
        bad(400, "field", "clientId", "POST", path, {"clientId": "x"}, world.client.token)
    for path, token in [("/packets", node.token), ("/packets/from-client", world.client.token)]:
        bad(400, "field", "sessionId", "POST", path, {"packet": "AAAA"}, token)
        bad(400, "field", "packet", "POST", path,
            {"sessionId": world.client.session, "packet": "!"}, token)
        # P07: raw IP to anywhere is no WireGuard datagram.
        raw_ip = bytes([0x45]) + bytes(27)
        bad(400, "packet", "packet", "POST", path,
            {"sessionId": world.client.session, "packet": as_base64(raw_ip)}, token)


@refusal
def refuse_bad_queries(world):
    bad = world.refuse
    for path, token in [("/nodes", world.client_key), ("/relays", world.client_key),
                        ("/clients", world.admin_key)]:
        bad(400, "range", "limit", "GET", path, token=token, query="?limit=0")
        bad(400, "range", "limit", "GET", path, token=token, query="?limit=201")
        bad(400, "field", "limit", "GET", path, token=token, query="?limit=x")
    for path in ["/metrics/{nodeId}/history", "/metrics/{nodeId}/aggregated"]:  # R81
        for query in ["?startTime=%s&endTime=%s" % (iso(2e9), iso(1e9)),
                      "?startTime=%s&endTime=%s" % (iso(1e9), iso(1e9 + 10 * 366 * 86400)),
                      "?startTime=yesterday"]:
            answer = world.ask("GET", path, token=world.admin_key, status=400, query=query,
                               nodeId=world.node.id)
            assert answer.code in ("range", "field"), answer
    answer = world.ask("GET", "/metrics/{nodeId}/history", token=world.admin_key, status=400,
                       query="?interval=x", nodeId=world.node.id)
    assert answer.json["error"]["field"] == "interval", answer


@refusal
def refuse_what_is_not_there(world):
    nobody = str(uuid.uuid4())
    for method, path in [("GET", "/nodes/{nodeId}"), ("DELETE", "/nodes/{nodeId}"),
                         ("GET", "/metrics/{nodeId}/latest"),
                         ("GET", "/routing/route/{routeId}"),
                         ("DELETE", "/routing/route/{routeId}"),
                         ("GET", "/clients/{clientId}")]:
        world.ask(method, path, token=world.admin_key, status=404, nodeId=nobody, routeId=nobody,
                  clientId=nobody)
    gone = world.enrol()
    world.ask("DELETE", "/nodes/{nodeId}", token=gone.token, status=204, nodeId=gone.id)

    def is_void():  # its tokens are, with it, as soon as the gateway has heard
        answer = world.ask("POST", "/nodes/{nodeId}/heartbeat", {"status": "online"}, gone.token,
                           nodeId=gone.id)
        assert (answer.status, answer.code) in [(404, "node_unknown"), (401, "token")], answer
        return answer.status == 401

    await_true(is_void, "the deleted node's token to be void")
    world.refuse(404, "no_suitable_node", None, "POST", "/routing/request",
                 world.route_body(Identity(), requirements={"preferredCountry": "AQ",
                                                            "minBandwidth": 100000}),
                 world.client_key)
    session = {"clientId": world.client.id, "publicKey": world.client.key, "sessionId": nobody}
    for path in ["/wireguard/register", "/wireguard/unregister"]:
        world.refuse(404, "session_unknown", "sessionId", "POST", path, session,
                     world.client.token)
    packet = {"sessionId": nobody, "packet": as_base64(datagram(1, 148))}
    for path, token in [("/packets", world.node.token), ("/packets/from-client",
                                                         world.client.token)]:
        world.refuse(404, "session_unknown", "sessionId", "POST", path, packet, token)


@refusal
def refuse_heartbeats_said_before(world):
    """R77, T08: a heartbeat whose sequence does not grow changes nothing."""
    node = world.enrol()

    def beat(sequence, expected, said="online"):
        return world.ask("POST", "/nodes/{nodeId}/heartbeat",
                         {"status": said, "sequence": sequence}, node.token, status=expected,
                         nodeId=node.id)

    beat(10, 200)
    for sequence in [10, 9]:
        answer = beat(sequence, 409, "offline")
        assert answer.code == "replay" and answer.json["error"]["field"] == "sequence", answer
    shown = world.ask("GET", "/nodes/{nodeId}", token=node.token, status=200, nodeId=node.id).json
    assert shown["status"] == "online"
    beat(11, 200)


def refuse_samples_said_before(world):
    """R77, T08: a sample that is not newer than the last changes nothing. Late, because a node may
    send one in 10 s."""
    node = world.node
    latest = world.ask("GET", "/metrics/{nodeId}/latest", token=node.token, status=200,
                       nodeId=node.id).json["timestamp"]
    said_again = sample(node, timestamp=latest)

    def refused():
        answer = world.ask("POST", "/metrics", said_again, node.token)
        return answer if answer.status != 429 else None

    answer = await_true(refused, "the next sample to be looked at")
    assert (answer.status, answer.code) == (409, "replay"), answer
    again = world.ask("GET", "/metrics/{nodeId}/latest", token=node.token, status=200,
                      nodeId=node.id).json["timestamp"]
    assert again == latest


@refusal
def refuse_a_client_that_is_anothers(world):
    """T05: who has another access key cannot take over a client that has a session, nor by a token
    for that client's id, which a key pair of one's own gets."""
    client = Identity()
    body = world.route_body(client)
    route = await_true(lambda: route_or_none(world, body), "a route")
    answer = world.ask("POST", "/routing/request", body, world.other_key)
    assert (answer.status, answer.code) == (409, "client_in_use"), answer
    own = dict(body, publicKey=world.route_body(Identity())["publicKey"])
    own = await_true(lambda: route_or_none(world, own, world.other_key), "a route of his own")
    token = own["selectedRoute"]["sessionToken"]
    answer = world.ask("POST", "/routing/request", body, token)
    assert (answer.status, answer.code) == (409, "client_in_use"), answer
    answer = world.ask("DELETE", "/routing/route/{routeId}", token=token,
                       routeId=route["selectedRoute"]["id"])
    assert (answer.status, answer.code) == (404, "route_unknown"), answer


@refusal
def refuse_routes_without_a_good_proof(world):
    """T05, R55: another's proof, one for another body, role or access key; all look alike."""
    client, other = Identity(), Identity()
    body = json.dumps(world.route_body(client)).encode()
    challenge = world.challenge_client(client)
    good = client.proof(challenge, body, "client")
    for proof in ["Higgs-Proof: v1 a.b.c", other.proof(challenge, body, "client"),
                  client.proof(challenge, body + b" ", "client"), client.proof(challenge, body),
                  good + ", " + good.split(": ")[1]]:
        world.refuse(401, "challenge", None, "POST", "/routing/request", body, world.client_key,
                     [proof])
    world.refuse(401, "challenge", None, "POST", "/routing/request", body, world.other_key, [good])


@refusal
def refuse_nodes_at_each_others_doors(world):
    """R73, R79, P02: a node's token opens its own doors only, and changes nothing at others'."""
    a, b = world.enrol(), world.node
    beat = {"status": "offline"}
    world.refuse(403, "role", None, "POST", "/nodes/{nodeId}/heartbeat", beat, a.token,
                 nodeId=b.id)
    world.refuse(403, "role", None, "DELETE", "/nodes/{nodeId}", token=a.token, nodeId=b.id)
    world.refuse(403, "role", None, "POST", "/metrics", sample(b), a.token)
    for path in ["latest", "history", "aggregated"]:
        world.refuse(403, "role", None, "GET", "/metrics/{nodeId}/" + path, token=a.token,
                     nodeId=b.id)
    packet = {"sessionId": world.client.session, "packet": as_base64(datagram(2, 92))}
    world.refuse(404, "session_unknown", "sessionId", "POST", "/packets", packet, a.token)
    world.refuse(403, "role", None, "POST", "/packets", dict(packet, nodeId=b.id), a.token)
    node = world.ask("GET", "/nodes/{nodeId}", token=a.token, status=200, nodeId=b.id).json
    assert node["status"] == "online"


@refusal
def refuse_clients_at_each_others_doors(world):
    """P06: a WireGuard app is bound to one's own session only."""
    client = Identity()
    answer = await_true(lambda: route_or_none(world, world.route_body(client)), "a route")
    session = answer["selectedRoute"]["sessionId"]
    other = world.client.token
    app = {"clientId": client.id, "publicKey": client.key, "sessionId": session}
    for path in ["/wireguard/register", "/wireguard/unregister"]:
        world.refuse(403, "role", None, "POST", path, app, other)
        world.refuse(404, "session_unknown", "sessionId", "POST", path,
                     dict(app, clientId=world.client.id), other)
    packet = {"sessionId": session, "packet": as_base64(datagram(1, 148))}
    world.refuse(404, "session_unknown", "sessionId", "POST", "/packets/from-client", packet, other)
    world.refuse(403, "role", None, "POST", "/packets/from-client",
                 dict(packet, clientId=client.id), other)


# ---- other enrolment policies ----

def enrol_by_approval(world):
    """Without a key nobody is in before somebody says so; with one, the key's maker has."""
    answer = world.register(Node(), None, 403)
    assert answer.code == "awaiting_approval" and int(answer.headers["retry-after"]) >= 1, answer
    world.register(Node(), world.enrol_key, 201)


def enrol_anyone(world):
    node = Node()
    world.register(node, None, 201)
    world.register(node, None, 200)


# ---- in the end ----

def check_nothing_leaks(world):
    """R87, P03, T41: no token, private address or other key in what others may read; no secret in
    a log."""
    nodes = world.ask("GET", "/nodes", token=world.client_key, status=200).body.decode()
    for word in ["sessionToken", "relayTicket", "ipv4", "198.51.100.9", "token", "secret"]:
        assert word not in nodes or word == "ipv4" and "198.51.100.9" not in nodes, word
    logs = world.rig.logs()
    assert "\ninfo gateway forged" not in logs  # R45
    for secret in world.secrets:
        assert secret not in nodes and secret not in logs
