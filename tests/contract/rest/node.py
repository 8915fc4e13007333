"""A node as the API and the relay see one: identity, proof of possession (docs/protocol.md,
"Proof"), and a leg that says yes to every session ("Legs")."""

import base64
import hashlib
import hmac
import json
import os
import socket
import struct
import threading
import uuid

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rig import Connection, DEADLINE_SEC


def public_bytes(private):
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Identity:
    def __init__(self, private=None, identifier=None):
        self.private = private or X25519PrivateKey.generate()
        self.public = public_bytes(self.private)
        self.key = base64.b64encode(self.public).decode()
        self.id = identifier or str(uuid.uuid4())

    def proof(self, challenge, body, role="node"):
        ephemeral = base64.b64decode(challenge["ephemeralPublicKey"])
        nonce, cookie = (base64.b64decode(challenge[name]) for name in ("nonce", "cookie"))
        shared = self.private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        info = (b"higgs-pop-v1" + uuid.UUID(self.id).bytes + self.public + ephemeral +
                bytes([len(role)]) + role.encode())
        key = HKDF(hashes.SHA256(), 32, nonce, info).derive(shared)
        mac = hmac.new(key, hashlib.sha256(body).digest(), "sha256").digest()
        return "Higgs-Proof: v1 %s.%s.%s" % tuple(map(base64url, (nonce, cookie, mac)))


class Node(Identity):
    def register_body(self, **more):
        return json.dumps(dict({
            "nodeId": self.id, "publicKey": self.key, "heartbeatInterval": 30,
            "networkInfo": {"ipv4": "198.51.100.9", "natType": "FullCone", "localPort": 51820},
            "capabilities": {"maxConnections": 100, "bandwidth": {"up": 50, "down": 100},
                             "routing": True, "natting": True},
            "location": {"country": "DE", "region": "HE", "coordinates": [50.1, 8.7]},
            "metrics": {"latency": 10, "jitter": 1, "packetLoss": 0, "cpuUsage": 5,
                        "memoryUsage": 20}}, **more)).encode()

    def challenge_body(self):
        return {"nodeId": self.id, "publicKey": self.key, "role": "node"}


def enrol(rig, node, challenged_at=0, registered_at=0):
    """Makes it a node, at these gateways: its session token and relay ticket."""
    challenge = rig.ask("POST", "/api/v1/nodes/challenge", node.challenge_body(), i=challenged_at)
    assert challenge.status == 200, challenge
    body = node.register_body()
    # The proof is taken by whichever gateway: nothing of a challenge is kept.
    answer = rig.ask("POST", "/api/v1/nodes/register", body, rig.key("node", registered_at),
                     [node.proof(challenge.json, body)], i=registered_at)
    assert answer.status == 201, answer
    return answer.json["sessionToken"], answer.json["relayTicket"]


# ---- protobuf, as far as proto/link.proto needs it ----

def varint(value):
    out = b""
    while value > 0x7f:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(data):
    def take():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value
    at, found = 0, {}
    while at < len(data):
        tag = take()
        if tag & 7 == 0:
            found[tag >> 3] = take()
        else:
            n = take()
            found[tag >> 3] = data[at:at + n]
            at += n
    return found


class WebSocket:
    def __init__(self, port, target, token, protocol=None, headers=()):
        self.connection = Connection(port)
        lines = ["GET %s HTTP/1.1" % target, "Host: relay", "Connection: Upgrade",
                 "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode()]
        lines += ["Authorization: Bearer " + token] if token else []
        lines += ["Sec-WebSocket-Protocol: " + protocol] if protocol else []
        self.connection.send("\r\n".join(lines + list(headers)).encode() + b"\r\n\r\n")
        self.answer = self.connection.receive()

    def send(self, opcode, payload):
        n = len(payload)
        head = bytes([0x80 | opcode])
        head += (bytes([0x80 | n]) if n < 126 else bytes([0xfe]) + struct.pack(">H", n))
        self.connection.send(head + bytes(4) + payload)

    def receive(self):
        first, second = self.connection.read(2)
        n = second & 0x7f
        if n == 126:
            n, = struct.unpack(">H", self.connection.read(2))
        elif n == 127:
            n, = struct.unpack(">Q", self.connection.read(8))
        return first & 0x0f, self.connection.read(n)

    def close(self):
        try:
            self.connection.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.connection.close()


class Leg(threading.Thread):
    """Answers SessionOpen with OK until it is closed; keeps the data messages that came."""

    def __init__(self, port, node, ticket):
        super().__init__(daemon=True)
        self.node, self.data, self.came = node, [], threading.Event()
        self.refuses = False
        self.socket = WebSocket(port, "/relay/" + node.id, ticket, "higgs.v1")
        assert self.socket.answer.status == 101, self.socket.answer
        self.start()

    def on_session_open(self, opened):
        if self.refuses:
            reply = field(1, opened[5]) + field(2, opened[1]) + field(3, 2)
        else:
            reply = (field(1, opened[5]) + field(2, opened[1]) + field(3, 0) +
                     field(5, "10.90.0.2") + field(6, "fd48:6967:6773::2") +
                     field(7, "10.90.0.1") + field(8, "fd48:6967:6773::1") +
                     field(9, 1280) + field(10, self.node.key))
        self.socket.send(2, b"\x02" + field(5, reply))

    def run(self):
        try:
            while True:
                opcode, payload = self.socket.receive()
                if opcode == 9:
                    self.socket.send(10, payload)
                elif opcode == 2 and payload[0] == 2:
                    control = fields(payload[1:])
                    if 1 in control:
                        self.on_session_open(fields(control[1]))
                elif opcode == 2 and payload[0] == 1:
                    self.data.append(payload)
                    self.came.set()
        except (EOFError, OSError):
            pass

    def close(self):
        self.socket.close()
        self.join(DEADLINE_SEC)
