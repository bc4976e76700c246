"""What Kubernetes makes of a manifest: the containers of each Job, with the words and variables that they start with.

Expansion follows third_party/forked/golang/expansion/expand.go of Kubernetes 1.37; indexes, host names and the order of
variables follow the Job controller and the kubelet.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"


@dataclass(frozen=True)
class Started:
    """One pod's only container. `host` is its name; with a subdomain, others find it as `host.subdomain`."""

    job: str
    index: int
    host: str
    words: list[str]
    variables: dict[str, str]
    pod: dict[str, Any]
    container: dict[str, Any]


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def jobs(text: str) -> list[dict[str, Any]]:
    return [document for document in documents(text) if document["kind"] == "Job"]


def refused(document: dict[str, Any], version: str) -> str:
    """What the schemas of that version of Kubernetes say against a document, keys that they do not know included."""
    import kubernetes_validate  # it takes a second, and each process that collects tests would spend it

    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return error.message
    return ""


def started(text: str) -> list[Started]:
    """All pods of all Jobs in a manifest, by index."""
    return [start(job, index) for job in jobs(text) for index in range(job["spec"]["completions"])]


def start(job: dict[str, Any], index: int) -> Started:
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert "command" not in container, "the image's entrypoint is not replaced"
    variables: dict[str, str] = {}
    for variable in container["env"]:
        variables[variable["name"]] = value_of(variable, index, variables)
    words = [expanded(word, variables) for word in container["args"]]
    name = job["metadata"]["name"]
    return Started(name, index, f"{name}-{index}", words, variables, pod, container)


def value_of(variable: dict[str, Any], index: int, earlier: Mapping[str, str]) -> str:
    if "valueFrom" in variable:
        assert variable["valueFrom"] == {"fieldRef": {"fieldPath": INDEX}}
        return str(index)
    return expanded(variable["value"], earlier)


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """`$$` is `$`, `$(NAME)` the variable; what names none stays."""
    return re.sub(
        r"\$\$|\$\(([^)]*)\)", lambda found: "$" if found[0] == "$$" else variables.get(found[1], found[0]), text
    )


def beyond_restricted(pod: dict[str, Any]) -> list[str]:
    """What the Pod Security Standard "restricted" (v1.37) does not allow in a pod; each control by its own name."""
    of_pod = pod.get("securityContext", {})
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)]
    found += ["sysctls"] * bool(of_pod.get("sysctls")) + ["hostUsers"] * (pod.get("hostUsers") is False)
    for volume in pod.get("volumes", []):
        found += sorted(volume.keys() - {"name"} - VOLUMES)
    for container in pod["containers"] + pod.get("initContainers", []):
        own = container.get("securityContext", {})
        both = of_pod | own
        capabilities = own.get("capabilities", {})
        wrong = {
            "privileged": own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is not False,
            "capabilities.drop": "ALL" not in capabilities.get("drop", []),
            "capabilities.add": {*capabilities.get("add", [])} - {"NET_BIND_SERVICE"},
            "runAsNonRoot": both.get("runAsNonRoot") is not True,
            "runAsUser": both.get("runAsUser") == 0,
            "seccompProfile": both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"),
            "appArmorProfile": both.get("appArmorProfile", {}).get("type") == "Unconfined",
            "seLinuxOptions": both.get("seLinuxOptions"),
            "windowsOptions": both.get("windowsOptions"),
            "procMount": own.get("procMount", "Default") != "Default",
            "hostPort": any(port.get("hostPort") for port in container.get("ports", [])),
        }
        found += [name for name, is_wrong in wrong.items() if is_wrong]
    return found


VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"),
}
