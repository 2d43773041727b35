#!/bin/sh
# The authority and the server that tests of remote pictures trust: sh scripts/make-test-certificate.sh
# The authority's key is thrown away. The server's key is public and protects nothing.
set -eu
out="$(dirname "$0")/../test/media/fixtures/tls"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
new_key "$work/ca.key"
openssl req -x509 -new -key "$work/ca.key" -days 36500 -subj '/CN=wgrank test authority' \
  -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign' -out "$out/ca.pem"
new_key "$out/server.key"
openssl req -new -key "$out/server.key" -subj '/CN=images.example.org' -out "$work/server.csr"
echo 'subjectAltName=DNS:images.example.org,DNS:cdn.example.org,IP:127.0.0.1' > "$work/names"
openssl x509 -req -in "$work/server.csr" -CA "$out/ca.pem" -CAkey "$work/ca.key" -CAserial "$work/serial" -CAcreateserial -days 36500 \
  -extfile "$work/names" -out "$out/server.pem" 2> /dev/null
