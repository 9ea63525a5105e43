"""Holds a rendered overlay to what the binary makes of its configuration.

    CLAUDE_GRPC=target/debug/claude-grpc python consistent.py RENDERED.yaml

KMS_BINARY is a binary with the feature `kms`, for overlays that need it;
`moto.py` tells what that needs besides.

The binary checks the ConfigMap with the variables of the container, prints the
configuration that `serve` would have, and serves with it. What the manifests say a second time
(ports, the grace period, the autoscaler's target) has to agree with it.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import moto
import yaml

BINARY = os.environ["CLAUDE_GRPC"]
BINARY_WITH_KMS = os.environ.get("KMS_BINARY")
POLICY = Path(__file__).parents[2] / "deploy/aws/kms-decrypt-policy.json"
CONTAINER = "claude-grpc"

# Time that is to be left when the drain is over.
SPARE_SECONDS = 5

UNITS = {
    "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hr": 3600, "day": 86400, "days": 86400,
    "ms": 0.001,
}


def seconds(text):
    parts = re.findall(r"([\d.]+)\s*([a-z]+)", text)
    assert parts, f"no time: {text!r}"
    return sum(float(figure) * UNITS[unit] for figure, unit in parts)


def port(address):
    return int(address.rsplit(":", 1)[1])


class Overlay:
    """The objects of one overlay."""

    def __init__(self, path):
        self.objects = [it for it in yaml.safe_load_all(Path(path).read_text()) if it]

    def all(self, kind):
        return [it for it in self.objects if it["kind"] == kind]

    def one(self, kind):
        [found] = self.all(kind)
        return found


class Pod:
    """The container's files, arguments and variables, in a folder of this
    machine. Mounted secrets are stood in for."""

    def __init__(self, overlay, pod, container, folder):
        moved = {}
        volumes = {it["name"]: it for it in pod["volumes"]}
        for mount in container["volumeMounts"]:
            here = Path(folder) / mount["name"]
            here.mkdir()
            moved[mount["mountPath"]] = str(here)
            volume = volumes[mount["name"]]
            if "configMap" in volume:
                name = volume["configMap"]["name"]
                [config_map] = [it for it in overlay.all("ConfigMap") if it["metadata"]["name"] == name]
                for file, text in config_map["data"].items():
                    (here / file).write_text(text)
            else:
                (here / "api-key").write_text("sk-for-the-check-alone\n")
                (here / "clients.toml").write_text("")
                # Who is not root cannot make files like those of the kubelet.
                mode = volume["projected"]["defaultMode"] if os.geteuid() == 0 else 0o600
                for file in here.iterdir():
                    file.chmod(mode)

        def outside(text):
            for there, here in moved.items():
                text = text.replace(there, here)
            return text

        # What the file names may lie in a folder that is mounted later.
        for file in Path(folder).rglob("*.toml"):
            file.write_text(outside(file.read_text()))
        [verb, *flags] = container["args"]
        assert verb == "serve", verb
        self.flags = [outside(it) for it in flags]
        self.variables = {it["name"]: outside(it["value"]) for it in container["env"]}
        self.needs_kms = "CLAUDE_GRPC_SECRETS__KMS__CIPHERTEXT_FILE" in self.variables
        self.binary = BINARY_WITH_KMS if self.needs_kms and BINARY_WITH_KMS else BINARY

    @contextlib.contextmanager
    def with_kms(self):
        """With a KMS where one is needed, and what the policy asks of a call."""
        if not self.needs_kms or self.binary == BINARY:
            yield
            return
        with moto.running(self.variables, policy_context()) as variables:
            self.variables |= variables
            yield

    def config(self):
        """What `config check` prints."""
        # No configuration: who answers.
        flags = [it for it in self.flags if it != "--simulate"]
        checked = subprocess.run(
            [self.binary, "config", "check", *flags],
            env=self.variables, capture_output=True, text=True,
        )
        if checked.returncode != 0:
            lines = checked.stderr.splitlines()
            if all("requires a build with AWS KMS" in it for it in lines):
                print("--- config check skipped: this binary was built without the feature kms")
                sys.exit(0)
            sys.exit(f"config check refuses it:\n{checked.stderr}")
        return tomllib.loads(checked.stdout)

    def starts(self):
        """Whether it serves, which an exposed port without access control would
        not, and ends well."""
        # On another port, so that tests do not collide; on all addresses still.
        flags = [*self.flags, "--listen", "0.0.0.0:0"]
        with subprocess.Popen(
            [self.binary, "serve", *flags], env=self.variables,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as service:
            line = service.stdout.readline()
            service.terminate()
            _, logged = service.communicate(timeout=30)
        if "listening on" not in line or service.returncode != 0:
            sys.exit(f"serve does not start with it:\n{logged}")


def policy_context():
    """The encryption context that the role's policy asks for."""
    [statement] = json.loads(POLICY.read_text())["Statement"]
    prefix = "kms:EncryptionContext:"
    conditions = statement["Condition"]["StringEquals"]
    return {key.removeprefix(prefix): value for key, value in conditions.items()}


def main(path):
    overlay = Overlay(path)
    deployment = overlay.one("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    [container] = [it for it in pod["containers"] if it["name"] == CONTAINER]
    with tempfile.TemporaryDirectory() as folder:
        inside = Pod(overlay, pod, container, folder)
        with inside.with_kms():
            config = inside.config()
            inside.starts()
    ports = {it["name"]: it["containerPort"] for it in container["ports"]}
    wrong = []

    def same(what, one, other):
        if one != other:
            wrong.append(f"{what}: {one!r} is not {other!r}")

    def at_least(what, figure, least):
        if figure < least:
            wrong.append(f"{what}: {figure} is less than {least}")

    # What listens on the loopback would not be reached by the kubelet.
    listen = config["server"]["listen"]
    same("server.listen is for all addresses", listen.startswith("0.0.0.0:"), True)
    same("the container's port grpc", ports["grpc"], port(listen))
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        same(f"the port of {probe}", container[probe]["grpc"]["port"], port(listen))
    for service in overlay.all("Service"):
        same(
            f"ports of the service {service['metadata']['name']}",
            [(it["port"], it["targetPort"]) for it in service["spec"]["ports"]],
            [(port(listen), "grpc")],
        )
    for route in overlay.all("GRPCRoute"):
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                same("the route's port", backend["port"], port(listen))

    if "admin" in ports:
        same("the container's port admin", ports["admin"], port(config["admin"]["listen"]))

    server = config["server"]
    drain = seconds(server["drain_timeout"])
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    at_least(
        "terminationGracePeriodSeconds over preStop and server.drain_timeout",
        pod["terminationGracePeriodSeconds"], pause + drain + SPARE_SECONDS,
    )
    simulated = "--simulate" in container["args"]
    if not simulated:
        at_least("server.drain_timeout over server.max_deadline", drain, seconds(server["max_deadline"]))

    for scaler in overlay.all("HorizontalPodAutoscaler"):
        for metric in scaler["spec"]["metrics"]:
            if metric["type"] == "Pods":
                # A target that a pod cannot reach would never make another.
                target = int(metric["pods"]["target"]["averageValue"])
                at_least("upstream.max_in_flight over the autoscaler's target",
                         config["upstream"]["max_in_flight"], target + 1)

    # Refused by the service itself, too: here it is found before a rollout.
    key = any(it["name"].endswith("API_KEY_FILE") for it in container["env"])
    kms = bool(config.get("secrets", {}).get("kms", {}).get("ciphertext_file"))
    if kms:
        context = config["secrets"]["kms"]["encryption_context"]
        same("secrets.kms.encryption_context and the policy's", context, policy_context())
    same("there is exactly one way to answer (a key, KMS or the simulator)", key + kms + simulated, 1)

    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
