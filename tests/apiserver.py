"""A small API server for kubectl: it keeps objects, refuses what the schemas do not know, and has the pods of Jobs run.

In place of a real one, which cannot be had where the tests run. Of Jobs it has what the manifests use: indexes, how
many pods at a time, retries, conditions, logs.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests import cluster
from tests.cluster import Started

Object = dict[str, Any]
Run = Callable[[Started], tuple[int, str]]
"""Runs a pod to its end: its exit status, and what it printed."""

RESOURCES = {
    "v1": {"pods": "Pod", "services": "Service", "persistentvolumeclaims": "PersistentVolumeClaim"},
    "batch/v1": {"jobs": "Job"},
}
VERSION = "1.37"
PATH = re.compile(r"/(?:api|apis/batch)/v1/namespaces/default/(\w+)(?:/([\w.-]+))?(/log)?")


class Cluster:
    """All objects, by plural and name."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.objects: dict[str, dict[str, Object]] = {
            "jobs": {},
            "pods": {},
            "services": {},
            "persistentvolumeclaims": {},
        }
        self.logs: dict[str, str] = {}
        self.changed = threading.Condition()
        self.threads: list[threading.Thread] = []

    def create(self, plural: str, found: Object) -> Object:
        name = found["metadata"]["name"]
        found["metadata"] |= {"namespace": "default", "uid": f"uid-{name}", "resourceVersion": "1"}
        self.objects[plural][name] = found
        if plural == "jobs":
            found["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": f"uid-{name}"}}
            self.threads.append(threading.Thread(target=self.work, args=(found,)))
            self.threads[-1].start()
            with self.changed:  # `kubectl wait` fails if there is no pod yet
                self.changed.wait_for(lambda: self.list("pods", {"labelSelector": [f"job-name={name}"]}), 60)
        return found

    def work(self, job: Object) -> None:
        """To its end."""
        spec = job["spec"]
        with ThreadPoolExecutor(spec["parallelism"]) as pool:
            ended = all(pool.map(lambda index: self.index(job, index), range(spec["completions"])))
        with self.changed:
            job["status"] = {"conditions": [{"type": "Complete" if ended else "Failed", "status": "True"}]}
            self.changed.notify_all()

    def index(self, job: Object, index: int) -> bool:
        """One pod after the other until one ends well."""
        retries = job["spec"].get("backoffLimitPerIndex", job["spec"].get("backoffLimit"))
        started = cluster.start(json.loads(json.dumps(job)), index)
        for attempt in range(retries + 1):
            name = f"{started.host}-{attempt}"
            labels = {"job-name": started.job, **job["spec"]["selector"]["matchLabels"]}
            conditions = [{"type": "Ready", "status": "True"}]
            with self.changed:
                self.objects["pods"][name] = {
                    "metadata": {"name": name, "namespace": "default", "uid": name, "labels": labels},
                    "spec": started.pod,
                    "status": {"phase": "Running", "conditions": conditions},
                }
                self.changed.notify_all()
            status, self.logs[name] = self.run(started)
            if status == 0:
                return True
        return False

    def list(self, plural: str, query: dict[str, list[str]]) -> list[Object]:
        labels = dict(pair.split("=") for text in query.get("labelSelector", []) for pair in text.split(",") if pair)
        fields = dict(pair.split("=") for text in query.get("fieldSelector", []) for pair in text.split(","))
        return [
            found
            for name, found in self.objects[plural].items()
            if labels.items() <= found["metadata"].get("labels", {}).items()
            and fields.get("metadata.name", name) == name
        ]


class Handler(BaseHTTPRequestHandler):
    cluster: Cluster
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        if url.path in DISCOVERY:
            return self.answer(DISCOVERY[url.path])
        if not (found := PATH.fullmatch(url.path)):
            return self.missing(url.path)
        plural, name, log = found.groups()
        if log:
            return self.send(200, self.cluster.logs[name].encode(), "text/plain")
        if name:
            there = self.cluster.objects[plural].get(name)
            return self.answer(typed(plural, there)) if there else self.missing(name)
        if "watch" in query:
            return self.watch(plural, query)
        version, kind = version_and_kind(plural)
        items = self.cluster.list(plural, query)
        self.answer(
            {"apiVersion": version, "kind": f"{kind}List", "metadata": {"resourceVersion": "1"}, "items": items}
        )

    def do_POST(self) -> None:
        plural = PATH.fullmatch(urlsplit(self.path).path)[1]
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        found = json.loads(sent)
        if wrong := cluster.refused(found, VERSION):
            self.answer(status(422, "Invalid", wrong), 422)
        else:
            self.answer(self.cluster.create(plural, found), 201)

    def do_DELETE(self) -> None:
        plural, name, _ = PATH.fullmatch(urlsplit(self.path).path).groups()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if name not in self.cluster.objects[plural]:
            return self.missing(name)
        del self.cluster.objects[plural][name]
        if plural == "jobs":
            for pod in self.cluster.list("pods", {"labelSelector": [f"job-name={name}"]}):
                del self.cluster.objects["pods"][pod["metadata"]["name"]]
        self.answer({"apiVersion": "v1", "kind": "Status", "status": "Success"})

    def watch(self, plural: str, query: dict[str, list[str]]) -> None:
        """One event, as soon as a Job has ended."""
        with self.cluster.changed:
            self.cluster.changed.wait_for(lambda: all("status" in job for job in self.cluster.list(plural, query)), 60)
        events = [{"type": "MODIFIED", "object": typed(plural, found)} for found in self.cluster.list(plural, query)]
        self.close_connection = True
        self.send(200, "".join(json.dumps(event) + "\n" for event in events).encode())

    def missing(self, what: str) -> None:
        self.answer(status(404, "NotFound", f"{what} not found"), 404)

    def answer(self, document: Object, code: int = 200) -> None:
        self.send(code, json.dumps(document).encode())

    def send(self, code: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def version_and_kind(plural: str) -> tuple[str, str]:
    return next((version, kinds[plural]) for version, kinds in RESOURCES.items() if plural in kinds)


def typed(plural: str, found: Object) -> Object:
    version, kind = version_and_kind(plural)
    return {"apiVersion": version, "kind": kind, **found}


def status(code: int, reason: str, message: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


def resources(version: str) -> Object:
    verbs = ["create", "delete", "get", "list", "patch", "watch"]
    kinds = [
        {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": verbs}
        for name, kind in RESOURCES[version].items()
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": kinds}


def schema(version: str) -> Object:
    """Of OpenAPI, as far as kubectl asks: that this server validates fields itself."""
    group, _, plain = version.rpartition("/")
    parameters = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
    operations = {
        f"/{plural}/{{name}}": {
            "patch": {
                "parameters": parameters,
                "x-kubernetes-group-version-kind": {"group": group, "version": plain, "kind": kind},
            }
        }
        for plural, kind in RESOURCES[version].items()
    }
    return {"openapi": "3.0.0", "info": {"title": "x", "version": "1"}, "paths": operations}


BATCH = {"groupVersion": "batch/v1", "version": "v1"}
DISCOVERY = {
    "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{"name": "batch", "versions": [BATCH], "preferredVersion": BATCH}],
    },
    "/api/v1": resources("v1"),
    "/apis/batch/v1": resources("batch/v1"),
    "/openapi/v3": {
        "paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}"} for name in ("api/v1", "apis/batch/v1")}
    },
    "/openapi/v3/api/v1": schema("v1"),
    "/openapi/v3/apis/batch/v1": schema("batch/v1"),
}


@contextmanager
def serving(run: Run) -> Iterator[str]:
    """The text of a kubeconfig for it."""
    made = Cluster(run)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"cluster": made}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        yield yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "x", "cluster": {"server": address}}],
                "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
                "users": [{"name": "x", "user": {}}],
                "current-context": "x",
            }
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        for job in made.threads:
            job.join()
