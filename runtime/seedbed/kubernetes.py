"""Jobs of Kubernetes as YAML: pods that run a command in an image, on any node with the settings that bits depend on.

Whatever is filled in is quoted, so that neither YAML nor Kubernetes, which replaces `$(NAME)`, reads anything into it.
"""

import os
import posixpath
import re
from dataclasses import dataclass, field
from string import Template

from seedbed import environment

WORKSPACE = "/workspace"  # the working folder of the images
INDEX = "$(JOB_COMPLETION_INDEX)"  # Kubernetes puts in that of the pod
PORT = 29500  # torchrun's own
LONGEST_NAME = 52  # a pod's host name is that of the Job with its index, and has 63 characters at most

JOB = Template("""\
apiVersion: batch/v1
kind: Job
metadata:
  name: $name
spec:
  completionMode: Indexed
  completions: $pods
  parallelism: $parallel
  $retries
  podReplacementPolicy: Failed # never two pods for one index at the same time: they would write to one folder
  podFailurePolicy:
    rules:
      - action: Ignore # a node that was drained or lost is no failure of the command: the pod starts again
        onPodConditions:
          - type: DisruptionTarget
            status: "True"
  template:
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      enableServiceLinks: false # a service called "master" would set MASTER_PORT
$subdomain\
      nodeSelector:
        kubernetes.io/arch: amd64
      securityContext: # what the Pod Security Standard "restricted" demands
        runAsNonRoot: true
        runAsUser: $user
        runAsGroup: $group
        fsGroup: $group
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: seedbed
          image: $image
          workingDir: $workspace
          args: # after the image's own entrypoint; Kubernetes reads $$$$ as one $$
$words\
          env:
            - name: JOB_COMPLETION_INDEX
              valueFrom:
                fieldRef:
                  fieldPath: metadata.annotations['batch.kubernetes.io/job-completion-index']
$variables\
          resources: # equal, and as many CPUs as threads: bits depend on the number of threads
            requests: $resources
            limits: $resources
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
          volumeMounts:
            - name: workspace
              mountPath: $workspace
            - name: tmp # also holds the home of whichever user this is
              mountPath: /tmp
            - name: shm
              mountPath: /dev/shm
      volumes:
        - name: workspace
          persistentVolumeClaim:
            claimName: $claim
        - name: tmp
          emptyDir: {}
        - name: shm # for DataLoader workers and NCCL; counts as memory of the pod
          emptyDir:
            medium: Memory
            sizeLimit: 1Gi
""")

SERVICE = Template("""\
apiVersion: v1
kind: Service
metadata:
  name: $name
spec:
  clusterIP: None # no address of its own: it gives each pod a name, such as $first
  publishNotReadyAddresses: true # names are there before the pods that look for each other are ready
  selector:
    job-name: $name
---
""")


@dataclass(frozen=True)
class Pod:
    """What each pod is given. `cpus` is also how many threads it computes with."""

    image: str
    claim: str
    cpus: int = 4
    memory: str = "8Gi"
    gpus: int = 0
    user: str = "1000:1000"


@dataclass(frozen=True)
class Job:
    """`words` and `variables` are as Kubernetes takes them: see `literal`."""

    name: str
    words: list[str]
    pods: int = 1
    parallel: int = 1
    retries: str = "backoffLimit: 0"
    variables: dict[str, str] = field(default_factory=dict)
    subdomain: str = ""


def manifest(job: Job, pod: Pod) -> str:
    """ValueError: a word is no text."""
    user, group = pod.user.split(":")
    variable = "            - name: {}\n              value: {}\n"
    resources = {"cpu": str(pod.cpus), "memory": pod.memory}
    if pod.gpus:
        resources["nvidia.com/gpu"] = str(pod.gpus)
    return JOB.substitute(
        name=quoted(job.name),
        pods=job.pods,
        parallel=job.parallel,
        retries=job.retries,
        subdomain=f"      subdomain: {quoted(job.subdomain)}\n" if job.subdomain else "",
        user=user,
        group=group,
        image=quoted(pod.image),
        workspace=WORKSPACE,
        words="".join(f"            - {quoted(word)}\n" for word in job.words),
        variables="".join(variable.format(name, quoted(value)) for name, value in job.variables.items()),
        resources="{" + ", ".join(f"{name}: {quoted(value)}" for name, value in resources.items()) + "}",
        claim=quoted(pod.claim),
    )


def settings(pod: Pod, **chosen: str | None) -> dict[str, str]:
    """The variables of the pod, whatever the image has. ValueError: see `environment.options`."""
    found = environment.options(os.environ, **chosen) | {"OMP_NUM_THREADS": str(pod.cpus)}
    if not pod.gpus:
        found["NVIDIA_VISIBLE_DEVICES"] = "void"  # the images say "all": on a node with GPUs a pod would see them
    return {name: literal(value) for name, value in found.items()}


def training(name: str, words: list[str], nodes: int, pod: Pod, variables: dict[str, str], *, again: bool) -> str:
    """One pod for each node, and torchrun's variables, by which all find the first one.

    `again`: a training that fails is started again.
    """
    words = [literal(word) for word in words]
    retries = f"backoffLimit: {2 * nodes if again else 0}"  # if one fails, so do the others
    if nodes == 1:
        return manifest(Job(name, words, retries=retries, variables=variables), pod)
    first = f"{name}-0.{name}"
    torchruns = {
        "PET_NNODES": str(nodes),
        "PET_NODE_RANK": INDEX,
        "PET_NPROC_PER_NODE": str(pod.gpus or 1),
        "PET_MASTER_ADDR": first,
        "PET_MASTER_PORT": str(PORT),
    }
    job = Job(name, words, nodes, nodes, retries, variables | torchruns, subdomain=name)
    return SERVICE.substitute(name=quoted(name), first=first) + manifest(job, pod)


def below_workspace(option: str, path: str) -> str:
    """The folder's name. ValueError: it is not in the claim, which is all that pods share and keep."""
    folder = posixpath.normpath(posixpath.join(WORKSPACE, path))
    if not folder.startswith(f"{WORKSPACE}/"):
        raise ValueError(f"{option} {path}: expected a folder below {WORKSPACE}, which the pods share")
    return posixpath.basename(folder)


def label(text: str) -> str:
    """What a Job and a Service may be called: a label of DNS that begins with a letter."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    if not words or not words[0][0].isalpha():
        words.insert(0, "seedbed")
    return "-".join(words)[:LONGEST_NAME].rstrip("-")


def literal(word: str) -> str:
    """The word as Kubernetes takes it in arguments and variables: it reads `$$` as `$`, and replaces `$(NAME)`."""
    return word.replace("$", "$$")


def quoted(text: str) -> str:
    """A string of YAML, in ASCII. ValueError: it is no text."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{text!r}: expected UTF-8, which is all that a manifest can contain") from error
    return '"' + text.encode("unicode_escape").decode().replace('"', r"\"") + '"'  # YAML has the escapes of Python
