"""What each endpoint does when it works. A walk is named after its row: walk("POST",
"/nodes/register"). What is refused is in refusals.py and faults.py."""

import json
import re
import struct
import time

from node import Leg, Node, WebSocket, Identity
from rig import SERVICES, await_true

SUCCESSES, WALKED = [], set()
BASE = "/api/v1"


def walk(*rows):
    """A walk that shows the success of these rows, given as (method, path)."""
    def add(fn):
        WALKED.update(rows)
        SUCCESSES.append((fn.__name__, fn))
        return fn
    return add


def check_each_row_has_a_walk(description):
    rows = {(method, path) for method, path, _ in description.rows()}
    assert rows == WALKED, "without a walk: %s; without a row: %s" % (rows - WALKED, WALKED - rows)


class World:
    """What the walks share: an enrolled node with a leg, a client with a route."""

    def __init__(self, rig, description, services=SERVICES):
        self.rig, self.description, self.services = rig, description, services
        self.client_key, self.admin_key = rig.key("client"), rig.key("admin")
        self.enrol_key = rig.key("node")
        self.other_key = rig.make_key("client", "other")
        self.scraper_key = rig.make_key("scraper", "prometheus")
        self.secrets = [self.other_key, self.scraper_key, self.client_key, self.admin_key, self.enrol_key]
        self.node = self.leg = self.client = self.route = None
        await_true(self.is_ready, "the services")

    def is_ready(self):
        health = self.rig.ask("GET", "/health").json["services"]
        return all(health[name]["status"] == "healthy"
                   for name in ["database", "cache"] + self.services)

    def ask(self, method, path, body=None, token=None, headers=(), status=None, **names):
        """path as in the document; names fill its parameters; query=... what follows it."""
        operation = self.description.document["paths"][path][method.lower()]
        query = names.pop("query", "")
        target = self.description.target(path, operation).format(**names) + query
        answer = self.rig.ask(method, target, body, token, headers)
        if status is not None:
            assert answer.status == status, "%s %s: %s" % (method, target, answer)
        self.description.check(method, path, answer)
        return answer

    def refuse(self, status, code, field, method, path, *arguments, **names):
        answer = self.ask(method, path, *arguments, status=status, **names)
        assert code in (None, answer.code), "%s instead of %s: %s" % (answer.code, code, answer)
        if field is not None:
            assert answer.json["error"].get("field") == field, answer
        return answer

    def challenge(self, node):
        return self.ask("POST", "/nodes/challenge", node.challenge_body(), status=200).json

    def challenge_client(self, client):
        return self.ask("POST", "/routing/challenge", self.route_body(client), self.client_key,
                        status=200).json

    def register(self, node, token, status, body=None, challenge=None, by=None):
        body = body or node.register_body()
        proof = (by or node).proof(challenge or self.challenge(node), body)
        return self.ask("POST", "/nodes/register", body, token, [proof], status=status)

    def enrol(self):
        node = Node()
        answer = self.register(node, self.enrol_key, 201).json
        node.token, node.ticket = answer["sessionToken"], answer["relayTicket"]
        self.secrets += [node.token, node.ticket]
        return node

    def relay_port(self):
        relays = self.ask("GET", "/relays", token=self.admin_key, status=200).json["relays"]
        return int(relays[0]["relayEndpoint"].rsplit(":", 1)[1]) if relays else None

    def route_body(self, client, **more):
        return dict({"clientId": client.id, "publicKey": client.key}, **more)


# ---- what works ----

@walk(("GET", "/openapi.json"))
def walk_openapi(world):
    world.ask("GET", "/openapi.json", status=200)


@walk(("GET", "/health"), ("GET", "/health/ready"), ("GET", "/health/live"))
def walk_health(world):
    answer = world.ask("GET", "/health", status=200).json
    assert answer["status"] == "healthy"
    for service in ["database", "cache", "discovery", "routing", "relay", "metrics", "turn"]:
        assert answer["services"][service]["status"] == "healthy"
        assert answer["services"][service]["latency"] >= 0
    assert abs(answer["timestamp"] / 1000 - time.time()) < 60
    for path in ["/health", "/health/ready", "/health/live"]:
        world.ask("GET", path, status=200)
        assert world.rig.ask("GET", path).status == 200  # without the base path, too
        assert world.rig.ask("HEAD", path).body == b""


@walk(("POST", "/nodes/challenge"), ("POST", "/nodes/register"))
def walk_enrolment(world):
    challenge = world.challenge(Node())
    assert set(challenge) == {"ephemeralPublicKey", "nonce", "expiresAt", "cookie"}
    node = world.node = world.enrol()
    body = node.register_body(location={"country": "FR"})
    again = world.register(node, None, 200, body).json  # known: no key is needed
    assert again["nodeId"] == node.id and again["status"] == "registered"
    assert again["stunServers"] == [{"host": "stun.example.org", "port": 3478}]
    assert again["expiresAt"] / 1000 > time.time() + 3000
    await_true(lambda: world.register(node, None, 200).json["relayServers"], "a relay to be known")


@walk(("GET", "/relays"))
def walk_relays(world):
    port = await_true(world.relay_port, "the relay's announcement")
    for token in [world.client_key, world.admin_key, world.node.token]:
        answer = world.ask("GET", "/relays", token=token, status=200).json
        assert answer["count"] == len(answer["relays"]) == 1
        relay = answer["relays"][0]
        assert re.fullmatch(r"ws://127\.0\.0\.1:%d" % port, relay["relayEndpoint"])
        assert relay["udpEndpoint"].startswith("127.0.0.1:")
        assert 0 <= relay["load"] <= 1 and relay["id"] and relay["region"]
    world.leg = Leg(port, world.node, world.node.ticket)


@walk(("POST", "/nodes/{nodeId}/heartbeat"))
def walk_heartbeat(world):
    body = {"status": "online", "metrics": {
        "latency": 10, "jitter": 1, "packetLoss": 0.5, "cpuUsage": 5, "memoryUsage": 20,
        "activeConnections": 1, "bandwidth": {"up": 10, "down": 20}}}
    answer = world.ask("POST", "/nodes/{nodeId}/heartbeat", body, world.node.token, status=200,
                       nodeId=world.node.id).json
    assert answer["status"] == "ok" and answer["nextHeartbeat"] >= 10
    assert isinstance(answer["actions"], list)


@walk(("GET", "/nodes/{nodeId}"), ("GET", "/nodes"))
def walk_nodes(world):
    for token in [world.client_key, world.admin_key, world.node.token]:
        node = world.ask("GET", "/nodes/{nodeId}", token=token, status=200,
                         nodeId=world.node.id).json
        assert node["nodeId"] == world.node.id and node["publicKey"] == world.node.key
        assert node["status"] == "online"
    others = [world.enrol() for _ in range(3)]
    seen, query = [], "?limit=2"
    while query:
        page = world.ask("GET", "/nodes", token=world.admin_key, status=200, query=query).json
        assert page["count"] == len(page["nodes"]) <= 2
        seen += [node["nodeId"] for node in page["nodes"]]
        query = "?limit=2&cursor=" + page["nextCursor"] if "nextCursor" in page else None
    assert sorted(seen) == sorted([world.node.id] + [node.id for node in others])
    for query, n in [("?country=DE", 4), ("?country=FR", 0), ("?status=online", 4),
                     ("?status=offline", 0), ("?country=DE&status=online&limit=200", 4)]:
        answer = world.ask("GET", "/nodes", token=world.admin_key, status=200, query=query).json
        assert answer["count"] == n, (query, answer)


@walk(("DELETE", "/nodes/{nodeId}"))
def walk_delete_node(world):
    node = world.enrol()
    world.ask("DELETE", "/nodes/{nodeId}", token=node.token, status=204, nodeId=node.id)
    world.refuse(404, "node_unknown", None, "GET", "/nodes/{nodeId}", token=world.admin_key,
                 nodeId=node.id)
    node = world.enrol()
    world.ask("DELETE", "/nodes/{nodeId}", token=world.admin_key, status=204, nodeId=node.id)


@walk(("POST", "/routing/request"), ("GET", "/routing/route/{routeId}"))
def walk_route(world):
    client = world.client = Identity()
    body = world.route_body(client, requirements={"preferredCountry": "DE"})
    answer = await_true(lambda: route_or_none(world, body), "a route")
    route, selected = answer["routes"][0], answer["selectedRoute"]
    client.token = selected["sessionToken"]
    client.session, client.ticket = selected["sessionId"], selected["relayTicket"]
    world.secrets += [client.token, client.ticket]
    world.route = selected["id"]
    assert route["type"] == "relay" and route["path"] == [world.node.id]
    assert route.get("estimatedLatency", 0) >= 0 and route["priority"] >= 0  # absent: not known yet
    endpoint = selected["nodeEndpoint"]
    assert endpoint["publicKey"] == world.node.key and not endpoint["directConnection"]
    config = endpoint["wireguardConfig"]
    assert config["peerPublicKey"] == world.node.key and config["mtu"] == 1280
    assert "10.90.0.2/32" in config["address"] and config["allowedIPs"]
    assert selected["relayEndpoint"].endswith("/relay/" + client.session)
    assert selected["relayEndpoint"] == selected["relayEndpoints"][0]
    for token in [client.token, world.admin_key]:
        one = world.ask("GET", "/routing/route/{routeId}", token=token, status=200,
                        routeId=world.route).json
        assert one["id"] == world.route and one["sessionId"] == client.session


def route_or_none(world, body, key=None):
    answer = world.ask("POST", "/routing/request", body, key or world.client_key)
    assert answer.status in (200, 503), answer  # its leg may not be known yet
    return answer.json if answer.status == 200 else None


@walk(("POST", "/routing/challenge"))
def walk_proof_of_a_client(world):
    """T05: what another access key has taken for a client's WireGuard key goes to who proves it."""
    client, thief = Identity(), Identity()
    stolen = await_true(lambda: route_or_none(
        world, dict(world.route_body(client), clientId=thief.id), world.other_key), "a route")
    body = json.dumps(world.route_body(client)).encode()
    world.refuse(409, "key_in_use", "publicKey", "POST", "/routing/request", body,
                 world.client_key)
    proof = [client.proof(world.challenge_client(client), body, "client")]
    route = world.ask("POST", "/routing/request", body, world.client_key, proof, status=200).json
    for key in [world.client_key, world.other_key]:  # without a proof it is nobody's now
        world.refuse(409, None, None, "POST", "/routing/request", body, key)
    world.refuse(404, "session_unknown", "sessionId", "POST", "/routing/request",
                 dict(world.route_body(client), clientId=thief.id,
                      sessionId=stolen["selectedRoute"]["sessionId"]), world.other_key)
    again = world.ask("POST", "/routing/request", body, world.client_key, proof, status=200).json
    assert again["selectedRoute"]["sessionId"] == route["selectedRoute"]["sessionId"]


@walk(("POST", "/wireguard/register"), ("POST", "/wireguard/unregister"))
def walk_wireguard(world):
    client = world.client
    body = {"clientId": client.id, "publicKey": client.key, "sessionId": client.session}
    answer = world.ask("POST", "/wireguard/register", body, client.token, status=200).json
    assert (answer["status"], answer["clientId"], answer["nodeId"]) == (
        "registered", client.id, world.node.id)
    assert answer["udpEndpoint"].startswith("127.0.0.1:") and answer["message"]
    world.ask("POST", "/wireguard/register", body, client.token, status=200)  # again: the same
    answer = world.ask("POST", "/wireguard/unregister",
                       {"clientId": client.id, "sessionId": client.session}, client.token,
                       status=200).json
    assert answer["status"] == "unregistered" and answer["clientId"] == client.id


def datagram(kind, n):
    return struct.pack("<I", kind) + bytes(n - 4)


def as_base64(data):
    import base64
    return base64.b64encode(data).decode()


@walk(("POST", "/packets/from-client"), ("POST", "/packets"))
def walk_packets(world):
    """P07: a datagram goes to the other end of its session, and nowhere else can be named."""
    client = world.client
    leg = WebSocket(world.relay_port(), "/relay/" + client.session, client.ticket, "higgs.v1")
    assert leg.answer.status == 101, leg.answer
    up, down = datagram(1, 148), datagram(2, 92)
    world.leg.came.clear()
    answer = world.ask("POST", "/packets/from-client",
                       {"sessionId": client.session, "packet": as_base64(up)}, client.token,
                       status=200).json
    assert answer == {"status": "ok"}
    assert world.leg.came.wait(20) and world.leg.data[-1].endswith(up)
    await_true(lambda: packet_from_node(world, down), "the node's packet to be taken")
    while True:
        opcode, payload = leg.receive()
        if opcode == 2 and payload[0] == 1:
            break
    assert payload.endswith(down)
    leg.close()


def packet_from_node(world, data):
    answer = world.ask("POST", "/packets",
                       {"sessionId": world.client.session, "packet": as_base64(data)},
                       world.node.token)
    assert answer.status in (200, 503), answer
    return answer.status == 200 and answer.json == {"status": "ok"}


@walk(("GET", "/clients"), ("GET", "/clients/{clientId}"))
def walk_clients(world):
    page = world.ask("GET", "/clients", token=world.admin_key, status=200, query="?limit=10").json
    assert page["count"] == len(page["clients"])
    assert world.client.id in [client["clientId"] for client in page["clients"]]
    one = world.ask("GET", "/clients/{clientId}", token=world.admin_key, status=200,
                    clientId=world.client.id).json
    assert one["clientId"] == world.client.id and one["nodeId"] == world.node.id
    assert one["status"] == "connected" and one["sessionId"] == world.client.session


@walk(("DELETE", "/routing/route/{routeId}"))
def walk_delete_route(world):
    world.ask("DELETE", "/routing/route/{routeId}", token=world.client.token, status=204,
              routeId=world.route)
    # The session is closed at the relay: its ticket opens no leg any more.
    await_true(lambda: WebSocket(world.relay_port(), "/relay/" + world.client.session,
                                 world.client.ticket, "higgs.v1").answer.status == 404,
               "the session to be closed at the relay")


def sample(node, **more):
    return dict({"nodeId": node.id, "timestamp": int(time.time() * 1000), "metrics": {
        "network": {"latency": 12.5, "jitter": 1, "packetLoss": 0.1,
                    "bandwidth": {"up": 10, "down": 20}},
        "system": {"cpuUsage": 5, "memoryUsage": 20, "diskUsage": 30,
                   "loadAverage": [0.1, 0.2, 0.3]},
        "wireguard": {"packets": {"sent": 1, "received": 2, "errors": 0},
                      "bytes": {"sent": 100, "received": 200}},
        "connections": {"active": 1, "total": 2, "failed": 0}}}, **more)


@walk(("POST", "/metrics"), ("GET", "/metrics/{nodeId}/latest"),
      ("GET", "/metrics/{nodeId}/history"), ("GET", "/metrics/{nodeId}/aggregated"))
def walk_metrics(world):
    node = world.node
    sent = sample(node)
    world.ask("POST", "/metrics", sent, node.token, status=202)
    for token in [node.token, world.admin_key]:
        latest = world.ask("GET", "/metrics/{nodeId}/latest", token=token, status=200,
                           nodeId=node.id).json
        assert latest["timestamp"] == sent["timestamp"]
        assert latest["metrics"]["network"]["latency"] == 12.5
    for interval in ["minute", "hour", "day"]:
        # A day that has hardly begun starts before the last hour.
        query = "?interval=%s&startTime=%s" % (interval, iso(time.time() - 2 * 86400))
        history = world.ask("GET", "/metrics/{nodeId}/history", token=node.token, status=200,
                            nodeId=node.id, query=query).json
        assert history["nodeId"] == node.id and history["interval"] == interval
        assert history["points"], (interval, history)
    query = "?startTime=%s" % iso(time.time() - 600)
    answer = world.ask("GET", "/metrics/{nodeId}/aggregated", token=world.admin_key, status=200,
                       nodeId=node.id, query=query).json
    for name in ["min", "mean", "max"]:
        assert abs(answer[name]["network"]["latency"] - 12.5) < 0.01, answer
    assert abs(answer["p95"]["network"]["latency"] - 12.5) < 0.5


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@walk(("GET", "/metrics"))
def walk_prometheus(world):
    """P26, T42: in no label is a node, a client or a session."""
    world.ask("GET", "/metrics", token=world.admin_key, status=200)
    answer = world.ask("GET", "/metrics", token=world.scraper_key, status=200)
    text = answer.body.decode()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert re.search(r"^boson_fleet_\w+({[^}]*})? [0-9.e+-]+$", text, re.M)
    for identifier in [world.node.id, world.client.id, world.client.session]:
        assert identifier not in text


@walk(("GET", "/turn/servers"), ("GET", "/turn/stun"), ("GET", "/turn/ice"))
def walk_turn(world):
    for token in [world.client_key, world.other_key, world.node.token, world.client.token]:
        server = world.ask("GET", "/turn/servers", token=token, status=200).json["servers"][0]
        assert server["url"].startswith("turns:turn.example.org")
        expiry, role, _ = server["username"].split(":", 2)
        assert role in ("client", "node") and 0 < int(expiry) - time.time() <= 600
        world.secrets.append(server["credential"])
        world.ask("GET", "/turn/stun", token=token, status=200)
        ice = world.ask("GET", "/turn/ice", token=token, status=200).json["iceServers"]
        assert any("credential" in entry for entry in ice)


@walk(("GET", "/events"))
def walk_events(world):
    port = world.rig.ports[0]
    socket = WebSocket(port, BASE + "/events", world.admin_key)
    world.description.check("GET", "/events", socket.answer)
    assert socket.answer.status == 101
    assert json.loads(socket.receive()[1])["event"] == "hello"
    node = world.enrol()
    await_true(lambda: node.id in str(socket.receive()[1]), "the node that came")
    answer = await_true(lambda: route_or_none(world, world.route_body(Identity())), "a route")
    session = answer["selectedRoute"]["sessionId"]
    await_true(lambda: session in str(socket.receive()[1]), "the session that was opened")
    socket.close()
