#!/usr/bin/python3
"""Two gateways before the same services: what they share. On PostgreSQL and Redis (with_servers) also
the limits, which one alone cannot keep, and what becomes of them when Redis is away (F16).

usage: replicas.py PROGRAMS_FOLDER    (77: a package is missing)"""

import os
import signal
import socket
import sys
import time

try:
    from node import Node, enrol
    from rig import DEADLINE_SEC, RATE_ENROLMENT, RATE_GENERAL, Rig, await_true
except ImportError as missing:
    print("skipped: %s (apt-get install python3-jsonschema python3-cryptography)" % missing)
    sys.exit(77)

SHARED = "RIG_REDIS" in os.environ
# Requests that a gateway may let through before it is told that they were too many: far more than
# come in an exchange with Redis, far fewer than another RATE_GENERAL.
TOLD_LATE = RATE_GENERAL // 2


def a_token_of_one_is_good_at_the_other(rig):
    node = Node()
    token = enrol(rig, node, 0, 1)[0]
    for i in (0, 1):
        answer = rig.ask("POST", "/api/v1/nodes/%s/heartbeat" % node.id, {"status": "online"},
                         token, i=i)
        assert answer.status == 200, answer
        answer = rig.ask("GET", "/api/v1/nodes/" + node.id, token=token, i=i)
        assert answer.status == 200, answer


def a_node_deleted_at_one_is_out_at_the_other(rig):
    node = Node()
    token = enrol(rig, node, 0, 1)[0]
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


def take_until_refused(rig, address, gateways):
    """How many were let through, one after the other at these gateways, and how many more than its
    burst one bucket had for them meanwhile."""
    n, start = 0, time.monotonic()
    while taken(rig, address, gateways[n % len(gateways)]):
        n += 1
    return n, RATE_GENERAL * (time.monotonic() - start) / 60


def an_address_has_one_limit_at_both(rig):
    """R89: as many as one gateway would allow, however they are spread, and those that come while
    the gateways tell each other."""
    address = rig.address()
    n, refilled = take_until_refused(rig, address, (0, 1))
    assert RATE_GENERAL <= n <= RATE_GENERAL + refilled + TOLD_LATE, n
    # Both say so, and others are not concerned.
    await_true(lambda: not taken(rig, address, 0) and not taken(rig, address, 1), "both to know")
    assert taken(rig, rig.address(), 0)


def enrolment_has_one_limit_at_both(rig):
    address, statuses = rig.address(), []
    while 429 not in statuses:
        statuses.append(rig.ask("POST", "/api/v1/nodes/register", b"{}", address=address,
                                i=len(statuses) % 2).status)
    assert RATE_ENROLMENT < len(statuses) < 2 * RATE_ENROLMENT, statuses


def either_may_be_killed(rig):
    node = Node()
    token = enrol(rig, node, 1, 0)[0]
    rig.kill("gateway0")
    answer = rig.ask("GET", "/api/v1/nodes/" + node.id, token=token, i=1)
    assert answer.status == 200, answer
    rig.start_gateway(0)
    await_true(lambda: rig.ask("GET", "/health", i=0).status == 200, "the gateway to be back")
    answer = rig.ask("GET", "/api/v1/nodes/" + node.id, token=token, i=0)
    assert answer.status == 200, answer


def counts_alone(rig, i):
    n, refilled = take_until_refused(rig, rig.address(), (i,))
    return RATE_GENERAL <= n <= RATE_GENERAL + refilled + 1


def without_redis_each_counts_alone(rig):
    """F16: nobody is let through unlimited, and nobody is kept out."""
    assert counts_alone(rig, 0) and counts_alone(rig, 1)


def redis_process():
    """Of the server at RIG_REDIS, by its own word."""
    with socket.socket(socket.AF_UNIX) as redis:
        redis.connect(os.environ["RIG_REDIS"].removeprefix("redis://").split("?")[0])
        redis.settimeout(DEADLINE_SEC)
        redis.sendall(b"INFO server\r\n")
        said = b""
        while b"process_id:" not in said or not said.endswith(b"\n"):
            said += redis.recv(4096)
    return int(said.split(b"process_id:")[1].split()[0])


def is_shared(rig):
    address = rig.address()
    one, _ = take_until_refused(rig, address, (0,))
    two, _ = take_until_refused(rig, address, (1,))
    return one >= RATE_GENERAL and two < RATE_GENERAL // 2


def a_redis_that_hangs_holds_nobody_up(rig):
    """F16: requests are answered, each gateway keeps the limit for itself and says once that it
    does; when Redis goes on, the limit is one again."""
    node = Node()
    token = enrol(rig, node, 0, 1)[0]
    beat = "/api/v1/nodes/%s/heartbeat" % node.id
    process, said = redis_process(), rig.logs().count("limits_not_shared")
    os.kill(process, signal.SIGSTOP)
    try:
        for i in (0, 1):
            for _ in range(50):
                assert rig.ask("GET", "/health", i=i).status == 200
                answer = rig.ask("POST", beat, {"status": "online"}, token, i=i)
                assert answer.status == 200, answer
            assert counts_alone(rig, i)
        await_true(lambda: rig.logs().count("limits_not_shared") == said + 2, "both to say so")
        assert counts_alone(rig, 0) and counts_alone(rig, 1)
    finally:
        os.kill(process, signal.SIGCONT)
    await_true(lambda: is_shared(rig), "the limit to be one again")
    assert rig.logs().count("limits_not_shared") == said + 2, rig.logs()


def a_deleted_nodes_token_is_void_without_discovery(rig):
    """P07: a gateway keeps what it has heard, so that one which starts while no discovery answers
    still refuses; and the other, which heard it from discovery, does so all along."""
    node = Node()
    token = enrol(rig, node, 0, 1)[0]
    path = "/api/v1/nodes/" + node.id
    assert rig.ask("DELETE", path, token=token, i=0).status == 204
    for i in (0, 1):
        await_true(lambda: rig.ask("GET", path, token=token, i=i).status == 401, "a void token")
        # The store does one thing after the other: when a key is made, the list is kept.
        rig.make_key("client", "after-%d" % i, i)
    rig.kill("discovery")
    for i in (0, 1):
        rig.kill("gateway%d" % i)
        rig.start_gateway(i)
        answer = rig.ask("GET", path, token=token, i=i)
        assert answer.status == 401, answer
    rig.start("discovery")
    await_true(lambda: all(rig.ask("GET", "/health", i=i).status == 200 for i in (0, 1)),
               "discovery to be back")


CHECKS = [a_token_of_one_is_good_at_the_other, a_node_deleted_at_one_is_out_at_the_other,
          a_deleted_nodes_token_is_void_without_discovery, either_may_be_killed]
CHECKS_SHARED = [keys_are_shared_and_so_is_their_end, an_address_has_one_limit_at_both,
                 enrolment_has_one_limit_at_both, a_redis_that_hangs_holds_nobody_up]


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
