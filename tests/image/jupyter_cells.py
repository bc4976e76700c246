"""Execute a notebook in a fresh kernel of the Jupyter server on this machine, over its API, as a browser does.

    python jupyter_cells.py TOKEN NOTEBOOK

Prints what the cells print. Exit status 1: a cell has failed.
"""

import json
import sys
import uuid
from urllib.request import Request, urlopen

import websocket

SERVER = "127.0.0.1:8888"


def main(token: str, notebook: str) -> None:
    cells = ask(token, "GET", f"contents/{notebook}")["content"]["cells"]
    session = ask(token, "POST", "sessions", type="notebook", path=notebook, name="", kernel={"name": "python3"})
    channels = f"ws://{SERVER}/api/kernels/{session['kernel']['id']}/channels?token={token}"
    kernel = websocket.create_connection(channels, timeout=120)
    try:
        for cell in cells:
            if cell["cell_type"] == "code":
                execute(kernel, cell["source"])
    finally:
        kernel.close()
        ask(token, "DELETE", f"sessions/{session['id']}")


def ask(token: str, method: str, path: str, /, **body: object) -> dict:
    headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body else None
    with urlopen(Request(f"http://{SERVER}/api/{path}", data, headers, method=method), timeout=60) as answer:
        return json.loads(answer.read() or "{}")


def execute(kernel: websocket.WebSocket, source: str) -> None:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "username": "",
        "session": "",
        "version": "5.3",
    }
    content = {"code": source, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    kernel.send(json.dumps(message))
    while True:
        message = json.loads(kernel.recv())
        kind, content = message["msg_type"], message["content"]
        if message["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        if kind == "stream":
            print(content["text"], end="")
        elif kind == "error":
            sys.exit("\n".join(content["traceback"]))
        elif kind == "status" and content["execution_state"] == "idle":
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
