#!/usr/bin/env bash
# HTTPS by a certificate made here, and a Unix socket: curl asks over both; a stop ends in order.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
command -v openssl > /dev/null && command -v curl > /dev/null || skip "openssl or curl is missing"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$scratch/key.pem" -out "$scratch/cert.pem" -days 1 \
  -subj /CN=localhost -addext 'subjectAltName=IP:127.0.0.1' 2> /dev/null
ask() { curl -sS --max-time 20 "$@" -d '{"prompt":"a","max_tokens":4,"stream":true,"ignore_eos":true}'; }
serve preset:tiny --ssl-keyfile "$scratch/key.pem" --ssl-certfile "$scratch/cert.pem"
[[ $url == https://* ]] || { echo "the server is at $url"; exit 1; }
answer=$(ask --cacert "$scratch/cert.pem" "$url/v1/completions")
[[ $answer == *"data: [DONE]"* ]] || { echo "over TLS: $answer"; exit 1; }
! curl -sS --max-time 5 "${url/https/http}/health" > /dev/null 2>&1 || { echo "it speaks plain text"; exit 1; }
kill -TERM "$server"
wait "$server" || { echo "it ended with $?"; cat "$scratch/serve.log"; exit 1; }
server=
"$moge" serve preset:tiny --uds "$scratch/socket" 2> "$scratch/serve.log" &
server=$!
for _ in $(seq 100); do [ ! -S "$scratch/socket" ] || break; sleep 0.1; done
answer=$(ask --unix-socket "$scratch/socket" http://localhost/v1/completions)
[[ $answer == *"data: [DONE]"* ]] || { echo "over the Unix socket: $answer"; exit 1; }
echo "HTTPS and a Unix socket stream to curl; SIGTERM ends the server in order"
