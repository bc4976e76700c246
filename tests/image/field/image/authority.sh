#!/bin/sh
# A company's own authority, added as Debian's documentation says, and a server that it vouches for (certifi#194).
set -e
cd "$(mktemp -d)"
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out server.pem -days 2 -subj "/CN=localhost" \
    -addext "subjectAltName=DNS:localhost" 2>/dev/null
cp server.pem /usr/local/share/ca-certificates/company.crt
update-ca-certificates >/dev/null 2>&1
cat >serve.py <<'PY'
import http.server, importlib.util, ssl, threading, urllib.request

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("server.pem", "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"https://localhost:{server.server_port}/"
assert urllib.request.urlopen(address).status == 200
print("ssl trusts it")
if importlib.util.find_spec("requests"):
    import certifi, requests
    assert requests.get(address).status_code == 200
    print("requests too")
    assert requests.get(address, verify=certifi.where()).status_code == 200  # as programs do that ask for certifi's list
    print("certifi too")
PY
python serve.py
