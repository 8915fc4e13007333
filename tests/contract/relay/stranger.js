// A leg's far end by node-ws, which is not ours: as stranger.py.
// usage: stranger.js client|raw|node URL [CA]
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const fs = require('fs');
const WebSocket = require('ws');

const ROUNDS = 120;
const MESSAGES_OF_NODE = 60;
const [mode, url, ca] = process.argv.slice(2);

function datagram(n) {
	return Buffer.concat([Buffer.from([4, 0, 0, 0]), crypto.randomBytes(n - 4)]);
}

function batch(count, n) {
	const parts = [Buffer.from([1])];
	for (let i = 0; i < count; i++)
		parts.push(Buffer.from([n >> 8, n & 0xff]), datagram(n));
	return Buffer.concat(parts);
}

function message(i) {
	const n = i === 7 ? 60000 : 32 + 16 * (i * 37 % 90);
	return mode === 'raw' ? datagram(n) : batch(i === 7 ? 1 : 1 + i % 16, n);
}

const leg = new WebSocket(url, mode === 'raw' ? [] : ['higgs.v1'], {
	headers: { Authorization: `Bearer ${process.env.TICKET}` },
	ca: ca ? fs.readFileSync(ca) : undefined,
});
const waiting = [], came = [];
leg.on('message', (data, isBinary) => {
	assert(isBinary);
	if (waiting.length > 0)
		waiting.shift()(data);
	else
		came.push(data);
});
const receive = () => came.length > 0 ? came.shift() : new Promise((done) => waiting.push(done));
const event = (name) => new Promise((done) => leg.once(name, done));

async function expect(sent) {
	for (let i = 0; i < (mode === 'raw' ? 2 : 1); i++)
		assert.deepStrictEqual(await receive(), sent);
}

function send(data, i) {
	if (i % 5 !== 4)
		return leg.send(data);
	leg.send(data.subarray(0, 9), { fin: false, binary: true });
	leg.send(data.subarray(9, 20), { fin: false, binary: true });
	leg.send(data.subarray(20), { fin: true, binary: true });
}

async function beClient() {
	assert.strictEqual(leg.protocol, mode === 'raw' ? '' : 'higgs.v1');
	for (let i = 0; i < ROUNDS; i++) {
		const sent = message(i);
		send(sent, i);
		await expect(sent);
	}
	leg.ping('hello');
	assert.strictEqual((await event('pong')).toString(), 'hello');
	const burst = [];
	for (let i = 0; i < 40; i++)
		burst.push(message(1000 + i));
	burst.forEach((data) => leg.send(data));
	for (const sent of burst)
		await expect(sent);
	leg.close(1000, 'done');
	assert.strictEqual(await event('close'), 1000);
}

async function beNode() {
	for (let count = 0; count < MESSAGES_OF_NODE;) {
		const got = await receive();
		if (got[0] === 1) {
			leg.send(got);
			count++;
		}
	}
	assert.strictEqual(await event('close'), 4009); // a newer leg took its place
}

setTimeout(() => { console.error('out of time'); process.exit(1); }, 60000).unref();
leg.on('error', (error) => { console.error(error.message); process.exit(1); });
leg.on('open', () => (mode === 'node' ? beNode() : beClient())
	.then(() => process.exit(0), (error) => { console.error(error); process.exit(1); }));
