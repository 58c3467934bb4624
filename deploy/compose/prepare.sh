#!/bin/sh
# Creates the secrets that compose.yaml reads and a certificate for localhost, unless they already exist. Run it once,
# in the root of the repository: sh deploy/compose/prepare.sh
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets/tls
cd secrets

if [ ! -e postgres-password ]; then
  openssl rand -hex 24 > postgres-password
  printf 'postgres://parley:%s@postgres:5432/parley\n' "$(cat postgres-password)" > database-url
fi

# Writes an Ed25519 key as a JWK. The private and public parts are the last 32 bytes of their DER forms.
if [ ! -e jwt-keys ]; then
  key=$(mktemp)
  openssl genpkey -algorithm ed25519 -out "$key"
  base64url() { tail -c 32 | openssl base64 -A | tr '+/' '-_' | tr -d '='; }
  d=$(openssl pkey -in "$key" -outform DER | base64url)
  x=$(openssl pkey -in "$key" -pubout -outform DER | base64url)
  printf '{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"%s","x":"%s","d":"%s"}]}\n' \
    "$(openssl rand -hex 8)" "$x" "$d" > jwt-keys
  rm "$key"
fi

if [ ! -e tls/parley.pem ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout tls/parley.key -out tls/parley.pem
  echo 'Browsers will warn about this certificate. Put your own into deploy/compose/secrets/tls.'
fi

# The users in the containers must be able to read these files, but no other user can enter the folder.
chmod 644 postgres-password database-url jwt-keys
