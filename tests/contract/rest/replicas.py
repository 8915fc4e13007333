#!/usr/bin/python3
"""Two gateways before the same services: what they share. On PostgreSQL and Redis (with_servers) also
the limits, which one alone cannot keep, and what becomes of them when Redis is away (F16).

usage: replicas.py PROGRAMS_FOLDER    (77: a package is missing)"""

import os
import sys
import time

try:
    from node import Node
    from rig import RATE_ENROLMENT, RATE_GENERAL, Rig, await_true
except ImportError as missing:
    print("skipped: %s (apt-get install python3-jsonschema python3-cryptography)" % missing)
    sys.exit(77)

SHARED = "RIG_REDIS" in os.environ


def enrol_at(rig, i, node, status=201):
    challenge = rig.ask("POST", "/api/v1/nodes/challenge", node.challenge_body(), i=i)
    assert challenge.status == 200, challenge
    body = node.register_body()
    # The proof is taken by whichever gateway: nothing of a challenge is kept.
    answer = rig.ask("POST", "/api/v1/nodes/register", body, rig.key("node", 1 - i),
                     [node.proof(challenge.json, body)], i=1 - i)
    assert answer.status == status, answer
    return answer.json["sessionToken"]


def a_token_of_one_is_good_at_the_other(rig):
    node = Node()
    token = enrol_at(rig, 0, node)
    for i in (0, 1):
        answer = rig.ask("POST", "/api/v1/nodes/%s/heartbeat" % node.id, {"status": "online"},
                         token, i=i)
        assert answer.status == 200, answer
        answer = rig.ask("GET", "/api/v1/nodes/" + node.id, token=token, i=i)
        assert answer.status == 200, answer


def a_node_deleted_at_one_is_out_at_the_other(rig):
    node = Node()
    token = enrol_at(rig, 0, node)
    path = "/api/v1/nodes/" + node.id
    assert rig.ask("DELETE", path, token=token, i=0).status == 204
    await_true(lambda: rig.ask("POST", path + "/heartbeat", {"status": "online"}, token,
                               i=1).status in (401, 404), "the token to be void")


def keys_are_shared_and_so_is_their_end(rig):
    """With one store, a key made at one gateway opens the other; and does no more when revoked."""
    key = rig.make_key("client", "shared", 0)
    for i in (0, 1):
        answer = rig.ask("GET", "/api/v1/nodes", token=key, i=i)
        assert answer.status == 200, answer


def taken(rig, address, i):
    return rig.ask("GET", "/api/v1/nothing", address=address, i=i).status == 404


def an_address_has_one_limit_at_both(rig):
    """R89: as many as one gateway would allow, and no more, however they are spread."""
    address, n = rig.address(), 0
    start = time.monotonic()
    while taken(rig, address, n % 2):
        n += 1
    refilled = RATE_GENERAL * (time.monotonic() - start) / 60
    assert RATE_GENERAL <= n <= RATE_GENERAL + refilled + 1, n
    # Both say so, and others are not concerned.
    assert not taken(rig, address, 0) and not taken(rig, address, 1)
    assert taken(rig, rig.address(), 0)


def enrolment_has_one_limit_at_both(rig):
    address, statuses = rig.address(), []
    for n in range(RATE_ENROLMENT + 2):
        statuses.append(rig.ask("POST", "/api/v1/nodes/register", b"{}", address=address,
                                i=n % 2).status)
    assert 429 not in statuses[:RATE_ENROLMENT] and statuses[-1] == 429, statuses


def either_may_be_killed(rig):
    node = Node()
    token = enrol_at(rig, 1, node)
    rig.kill("gateway0")
    answer = rig.ask("GET", "/api/v1/nodes/" + node.id, token=token, i=1)
    assert answer.status == 200, answer
    rig.start_gateway(0)
    await_true(lambda: rig.ask("GET", "/health", i=0).status == 200, "the gateway to be back")
    answer = rig.ask("GET", "/api/v1/nodes/" + node.id, token=token, i=0)
    assert answer.status == 200, answer


def without_redis_each_counts_alone(rig):
    """F16: nobody is let through unlimited, and nobody is kept out."""
    address, n = rig.address(), 0
    start = time.monotonic()
    while taken(rig, address, 0):
        n += 1
    refilled = RATE_GENERAL * (time.monotonic() - start) / 60
    assert RATE_GENERAL <= n <= RATE_GENERAL + refilled + 1, n
    assert taken(rig, address, 1)


CHECKS = [a_token_of_one_is_good_at_the_other, a_node_deleted_at_one_is_out_at_the_other,
          either_may_be_killed]
CHECKS_SHARED = [keys_are_shared_and_so_is_their_end, an_address_has_one_limit_at_both,
                 enrolment_has_one_limit_at_both]


def run(programs, checks, environment=None):
    os.environ.update(environment or {})
    rig = Rig(programs, gateways=2, services=["discovery", "routing"])
    try:
        for i in (0, 1):
            await_true(lambda: rig.ask("GET", "/health", i=i).status == 200, "the services")
        for check in checks:
            print("replicas: " + check.__name__)
            check(rig)
    except BaseException:
        rig.show_logs()
        raise
    finally:
        rig.stop()


def main():
    run(sys.argv[1], CHECKS + (CHECKS_SHARED if SHARED else []))
    # Nothing listens there: the cache is configured, and away.
    os.environ.pop("RIG_REDIS", None)
    run(sys.argv[1], [without_redis_each_counts_alone],
        {"BOSON_GATEWAY_CACHE": "redis:///nowhere/redis.sock"})


if __name__ == "__main__":
    main()
