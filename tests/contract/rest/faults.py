"""Refusals that are alike for every row, made from the document: framing, credentials, sizes, rates,
late bodies, and services that are not there."""

import re
import time
import uuid

from node import WebSocket
from rig import Connection, RATE_ENROLMENT, RATE_GENERAL, await_true

NAMES = {"nodeId": str(uuid.uuid4()), "routeId": str(uuid.uuid4()), "clientId": str(uuid.uuid4())}
JSON = "Content-Type: application/json\r\n"
PEERS = {"discovery": ["/nodes", "/relays"], "routing": ["/routing", "/clients", "/packets",
                                                         "/wireguard"],
         "metrics": ["/metrics"], "turn": ["/turn"]}
MAIN = ("discovery", "routing")  # without which the gateway is not healthy
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")


class Row:
    def __init__(self, world, method, path, operation):
        self.world, self.method, self.path, self.operation = world, method, path, operation
        self.target = world.description.target(path, operation).format(**NAMES)
        self.has_body = "requestBody" in operation
        self.said = {int(status) for status in operation["responses"]}
        self.headers = UPGRADE if path == "/events" else ()

    def head(self, *lines, **names):
        return self.world.rig.head(self.method, names.get("target", self.target),
                                   headers=tuple(lines) + self.headers)

    def check(self, data, status, code=None):
        """Sends the bytes and looks at the answer; only when the row is described to do so."""
        if status not in self.said:
            return
        data = data.encode() if isinstance(data, str) else data
        answer = self.world.rig.exchange(data)
        assert answer.status == status, "%s %s: %s" % (self.method, self.target, answer)
        assert code is None or answer.code == code, answer
        self.world.description.check(self.method, self.path, answer)


def rows(world):
    return [Row(world, *row) for row in world.description.rows()]


def wrong_tokens(world, row):
    """Credentials that are good and of no use here."""
    if row.path in ("/clients", "/clients/{clientId}", "/metrics", "/events") and \
            row.method == "GET":
        return [world.client_key, world.node.token, world.client.token]
    if row.path in ("/routing/challenge", "/routing/request", "/wireguard/register",
                    "/wireguard/unregister", "/packets/from-client", "/routing/route/{routeId}"):
        return [world.node.token, world.enrol_key]
    if row.path.startswith("/turn") or row.path in ("/relays", "/nodes") or \
            (row.method, row.path) == ("GET", "/nodes/{nodeId}"):
        return [world.enrol_key]
    return [world.client_key, world.client.token, world.enrol_key]


def walk_credentials(world, row):
    """R65, R67, R75, R85."""
    if "security" not in row.operation:
        return
    body = JSON + "Content-Length: 2\r\n\r\n{}" if row.has_body else "\r\n"
    row.check(row.head() + body, 401, "token")
    for value in ["Basic x", "Bearer ", "Bearer x", "Bearer eyJhbGciOiJub25lIn0.e30."]:
        row.check(row.head("Authorization: " + value) + body, 401, "token")
    for token in wrong_tokens(world, row):
        row.check(row.head("Authorization: Bearer " + token) + body, 403, "role")


def walk_framing(world, row):
    """R01 to R23, R31, R37."""
    row.check(row.head("Host: other") + "\r\n", 400, "host")
    row.check(row.head(target=row.target + "?x=%00") + "\r\n", 400, "target")
    row.check(row.head(target=row.target + "?" + 9000 * "a") + "\r\n", 414)
    row.check(row.head("X-Long: " + 17000 * "a") + "\r\n", 431)
    row.check(row.head("Transfer-Encoding: gzip") + "\r\n", 501)
    row.check(row.head().replace("HTTP/1.1", "HTTP/2.0", 1) + "\r\n", 505)
    allow = world.rig.ask("PATCH", row.target)
    assert allow.status == 405 and row.method in allow.headers["allow"].split(", "), allow
    if not row.has_body:
        token = token_for(world, row)
        lines = ["Authorization: Bearer " + token] if token else []
        row.check(row.head(*lines) + "Content-Length: 2\r\n\r\n{}", 400, "body")
        return
    row.check(row.head() + JSON + "Content-Length: 65537\r\n\r\n", 413)
    row.check(row.head() + JSON + "Content-Length: 2\r\nExpect: tea\r\n\r\n", 417)


def token_for(world, row):
    """A credential that opens the row."""
    if "security" not in row.operation:
        return None
    if row.method == "POST" and row.path in ("/packets", "/nodes/{nodeId}/heartbeat", "/metrics"):
        return world.node.token
    if row.path.startswith("/wireguard") or row.path == "/packets/from-client":
        return world.client.token
    return world.client_key if row.path == "/routing/request" else world.admin_key


def walk_bodies(world, row):
    if not row.has_body:
        return
    target = row.target.replace(NAMES["nodeId"], world.node.id)
    token = token_for(world, row)
    lines = ["Authorization: Bearer " + token] if token else []
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"]:
        row.check(row.head("Content-Type: " + kind, "Content-Length: 2", *lines, target=target) +
                  "\r\n{}", 415)
    for body, code in [("", "json"), ("{}x", "json"), ('{"a":NaN}', "json"), ("[]", "json"),
                       ('{"a":1,"a":1}', "json"), ('{"a":' + 33 * "[" + 33 * "]" + "}", "depth")]:
        row.check(row.head("Content-Type: application/json", "Content-Length: %d" % len(body),
                           *lines, target=target) + "\r\n" + body, 400, code)


def walk_requests_that_are_no_good(world):
    for row in rows(world):
        print("refuse: %s %s" % (row.method, row.path))
        walk_credentials(world, row)
        walk_framing(world, row)
        walk_bodies(world, row)
    walk_scrapers(world)


def walk_scrapers(world):
    """GET /metrics is for scrapers' keys and admins; nobody else learns even how many nodes."""
    answer = world.rig.ask("GET", "/metrics")
    assert answer.status == 401, answer


def walk_slow_bodies(world):
    """T09: all at once, since each takes its deadline."""
    waiting = []
    for row in rows(world):
        if row.has_body:
            connection = Connection(world.rig.ports[0])
            connection.send((row.head() + JSON + "Content-Length: 10\r\n\r\n{").encode())
            waiting.append((row, connection))
    for row, connection in waiting:
        answer = connection.receive()
        assert answer.status == 408, (row.path, answer)
        world.description.check(row.method, row.path, answer)
        connection.close()


def walk_rates(world):
    """R89, F37: one request more than an address may make in a minute."""
    for row in rows(world):
        slow = row.path in ("/nodes/challenge", "/nodes/register")
        n = RATE_ENROLMENT if slow else RATE_GENERAL
        request = world.rig.whole(row.method, row.target, b"{}" if row.has_body else None,
                                  headers=row.headers, address=world.rig.address())
        connection = Connection(world.rig.ports[0])
        statuses = []
        for _ in range(n + 1):
            connection.send(request)
            answer = connection.receive()
            statuses.append(answer.status)
            if answer.headers.get("connection") == "close":
                connection.close()
                connection = Connection(world.rig.ports[0])
        connection.close()
        # The bucket fills while we ask, more slowly than we do.
        while statuses[-1] != 429 and len(statuses) < 3 * n:
            answer = world.rig.exchange(request)
            statuses.append(answer.status)
        assert 429 not in statuses[:n] and answer.status == 429, (row.path, statuses)
        assert answer.code == "rate" and int(answer.headers["retry-after"]) >= 1
        world.description.check(row.method, row.path, answer)


def walk_rooms(world):
    """The 65th who watches waits for another to go."""
    watching = []
    while True:
        socket = WebSocket(world.rig.ports[0], "/api/v1/events", world.admin_key,
                           headers=["X-Forwarded-For: " + world.rig.address()])
        watching.append(socket)
        if socket.answer.status != 101:
            break
    assert len(watching) == 65 and socket.answer.status == 503, socket.answer
    world.description.check("GET", "/events", socket.answer)
    for socket in watching:
        socket.close()


GOOD_BODIES = {
    "/nodes/challenge": lambda world: world.node.challenge_body(),
    "/nodes/register": lambda world: world.node.register_body(),
    "/routing/request": lambda world: world.route_body(world.client),
    "/metrics": lambda world: {"nodeId": world.node.id, "timestamp": int(time.time() * 1000)},
}


def is_unavailable(world, row):
    body = GOOD_BODIES.get(row.path, lambda world: {"clientId": world.client.id})(world)
    target = row.target.replace(NAMES["nodeId"], world.node.id)
    answer = world.rig.ask(row.method, target, body if row.has_body else None,
                           token_for(world, row))
    if answer.status != 503:
        return False
    world.description.check(row.method, row.path, answer)
    return True


def walk_main_services_that_are_down(world):
    walk_services_that_are_down(world, [(service,) for service in MAIN])


def walk_other_services_that_are_down(world):
    walk_services_that_are_down(world, [[service for service in PEERS if service not in MAIN]])


def walk_services_that_are_down(world, rounds):
    """F01 and its like: a service is killed; its rows are 503 with Retry-After, the others go on;
    and when it is back, so are they."""
    for services in rounds:
        print("down: " + ", ".join(services))
        for service in services:
            world.rig.kill(service)
        for service in services:
            check_its_rows(world, service)
            check_health(world, service)
        for service in services:
            world.rig.start(service)
    await_true(world.is_ready, "all to be back")


def check_its_rows(world, service):
    for row in rows(world):
        if any(re.match(prefix + "(/|$)", row.path) for prefix in PEERS[service]):
            await_true(lambda: is_unavailable(world, row), "503 of %s %s, with %s down" % (
                row.method, row.path, service))


def check_health(world, service):
    health = await_true(lambda: unhealthy(world, service), "%s to be seen to be down" % service)
    assert world.rig.ask("GET", "/health/live").status == 200
    if service in MAIN:
        assert health.status == 503 and health.json["status"] == "unhealthy"
        world.description.check("GET", "/health", health)
        ready = world.rig.ask("GET", "/health/ready")
        world.description.check("GET", "/health/ready", ready)
        assert ready.status == 503
    else:
        assert health.status == 200 and health.json["status"] == "degraded"


def unhealthy(world, service):
    answer = world.rig.ask("GET", "/health")
    return answer if answer.json["services"][service]["status"] == "unhealthy" else None
