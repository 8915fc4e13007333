# A leg's far end by python3-websockets, which is not ours. usage: stranger.py client|raw|node URL [CA]
# The ticket is in $TICKET. client, raw: sends, and must get the same back. node: sends back what
# comes until its count is full. Exits 0 when all was as it should be.
import asyncio
import os
import ssl
import sys

import websockets

ROUNDS = 120
MESSAGES_OF_NODE = 60


def datagram(n):
    return b"\x04\0\0\0" + os.urandom(n - 4)


def batch(count, n):
    return b"\x01" + b"".join(n.to_bytes(2, "big") + datagram(n) for _ in range(count))


def message(mode, i):
    n = 32 + 16 * (i * 37 % 90)
    if i == 7:
        n = 60000
    return datagram(n) if mode == "raw" else batch(1 if i == 7 else 1 + i % 16, n)


async def expect(leg, mode, sent):
    for _ in range(2 if mode == "raw" else 1):  # the node sends a raw leg's back twice in a batch
        got = await asyncio.wait_for(leg.recv(), 15)
        assert got == sent, (len(got), len(sent))


async def be_client(leg, mode):
    assert leg.subprotocol == (None if mode == "raw" else "higgs.v1")
    for i in range(ROUNDS):
        sent = message(mode, i)
        if i % 5 == 4:  # fragments
            await leg.send([sent[:9], sent[9:20], sent[20:]])
        else:
            await leg.send(sent)
        await expect(leg, mode, sent)
    await asyncio.wait_for(await leg.ping(b"hello"), 15)
    burst = [message(mode, 1000 + i) for i in range(40)]
    for sent in burst:
        await leg.send(sent)
    for sent in burst:
        await expect(leg, mode, sent)
    await leg.close(1000, "done")
    assert leg.close_code == 1000, leg.close_code


async def be_node(leg):
    count = 0
    while count < MESSAGES_OF_NODE:
        got = await asyncio.wait_for(leg.recv(), 15)
        if got[0] == 1:
            await leg.send(got)
            count += 1
    code = 0
    try:
        await asyncio.wait_for(leg.recv(), 15)
    except websockets.ConnectionClosed as closed:
        code = closed.rcvd.code if closed.rcvd else 0
    assert code == 4009, code  # a newer leg took its place


async def main(mode, url, ca=None):
    tls = ssl.create_default_context(cafile=ca) if url.startswith("wss") else None
    async with websockets.connect(
        url,
        ssl=tls,
        subprotocols=None if mode == "raw" else ["higgs.v1"],
        extra_headers={"Authorization": "Bearer " + os.environ["TICKET"]},
    ) as leg:
        await (be_node(leg) if mode == "node" else be_client(leg, mode))


asyncio.run(main(*sys.argv[1:]))
