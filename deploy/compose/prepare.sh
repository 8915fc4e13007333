#!/bin/sh
# Makes what the stack needs before its first start, and nothing that is there already: the bus keys
# (bosonctl keys curve), a certificate authority of its own with one certificate for gateway and relay, and
# the access keys. Run once by the service `prepare` of compose.yaml, as the user of the services;
# with the argument `node`, by `prepare-node`, for the node's volume.
set -eu
umask 077

make_keys()
{
	[ -e /etc/boson/keys/allow ] || bosonctl keys curve /etc/boson/keys >/dev/null
	{ cat /stack/boson.conf; sed 1d /etc/boson/keys/bus.conf; } >/etc/boson/boson.conf.new
	mv /etc/boson/boson.conf.new /etc/boson/boson.conf
}

make_certificates()
{
	[ ! -e /etc/boson/tls/chain.pem ] || return 0
	mkdir -p /etc/boson/tls
	cd /etc/boson/tls
	openssl ecparam -name prime256v1 -genkey -noout -out ca.key
	openssl req -x509 -new -key ca.key -days 365 -subj "/CN=Development CA" -out ca.pem \
		-addext basicConstraints=critical,CA:TRUE
	openssl ecparam -name prime256v1 -genkey -noout -out key.pem
	openssl req -new -key key.pem -subj "/CN=gateway" -out server.csr
	printf 'subjectAltName=DNS:gateway,DNS:relay\nextendedKeyUsage=serverAuth\n' \
		>server.ext
	openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -days 90 -extfile server.ext \
		-out chain.pem.new
	mv chain.pem.new chain.pem
}

# The gateway would make these itself; here the node's must be known before it.
make_access_keys()
{
	local kind
	for kind in client admin node; do
		[ -e "/var/lib/boson/gateway/$kind.key" ] ||
			openssl rand -hex 32 >"/var/lib/boson/gateway/$kind.key"
	done
	cp /var/lib/boson/gateway/node.key /etc/boson/tls/ca.pem /handover/
	chmod 0644 /handover/*
}

if [ "${1:-}" = node ]; then
	install -m 0600 /handover/node.key /etc/higgs/node.key
	install -m 0644 /handover/ca.pem /etc/higgs/ca.pem
	install -m 0644 /stack/higgs.conf /etc/higgs/higgs.conf
else
	make_keys
	make_certificates
	make_access_keys
fi
