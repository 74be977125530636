#!/usr/bin/env python3
"""Holds deploy/ to the rest of the repository, without a container engine: deploy.py ICEHAUL

Everything that the compose file and the Dockerfiles name must exist: files, folders, build stages, the program's commands, flags
and configuration keys, the variables of Trino's catalogs and of the notebook. Prints what is wrong, a line each.

Needs PyYAML, and docker-compose for the merged form of the compose file.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "deploy/docker-compose.yml"
OURS = ("api", "worker")
PUBLISHED = {"8080": "api", "5000": "api", "8081": "trino", "8888": "jupyter", "9000": "s3"}

faults = []


def expect(holds, what):
    if not holds:
        faults.append(what)


def run(arguments, **options):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, **options)
    return done.returncode, done.stdout, done.stderr.strip()


def merged(env):
    """The compose file as the engine would see it, anchors and variables resolved."""
    code, text, said = run(["docker-compose", "-f", COMPOSE, "--env-file", env, "config"], cwd=ROOT)
    if code:
        sys.exit(f"docker-compose config: {said}")
    return yaml.safe_load(text)


def made_env(folder):
    """A .env as deploy/new-env.sh writes it. It must hold every variable, each with a secret of its own."""
    env = Path(folder) / "env"
    code, _, said = run([ROOT / "deploy/new-env.sh", env])
    expect(code == 0, f"new-env.sh: {said}")
    values = dict(line.split("=", 1) for line in env.read_text().splitlines() if line and not line.startswith("#"))
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_0-9]+)", COMPOSE.read_text()))
    expect(used <= set(values), f".env.example: lacks {sorted(used - set(values))}")
    secrets = [value for name, value in values.items() if name.endswith(("PASSWORD", "TOKEN", "SECRET_KEY"))]
    expect(len(set(secrets)) == len(secrets) and "change-me" not in secrets, ".env: secrets are not each their own")
    expect(env.stat().st_mode & 0o077 == 0, ".env: others may read it")
    code, _, _ = run([ROOT / "deploy/new-env.sh", env])
    expect(code != 0, "new-env.sh: it overwrites secrets that are in use")
    return env


def check_service(name, service, compose):
    expect("healthcheck" in service and not service["healthcheck"].get("disable"), f"{name}: no health check")
    expect(service.get("restart") == "unless-stopped", f"{name}: does not restart")
    expect(service.get("deploy", {}).get("resources", {}).get("limits", {}).get("memory"), f"{name}: no memory limit")
    expect("container_name" not in service, f"{name}: a fixed name cannot be scaled")
    expect(service.get("networks"), f"{name}: in no network of ours")
    for other, how in service.get("depends_on", {}).items():
        expect(other in compose["services"], f"{name}: depends on {other}, which is not there")
        expect(how.get("condition") == "service_healthy", f"{name}: does not wait until {other} is healthy")
    for script in shell_scripts(service):
        code, _, said = run(["sh", "-n", "-c", script.replace("$$", "$")])
        expect(code == 0, f"{name}: {script}: {said}")
    for volume in service.get("volumes", []):
        check_volume(name, str(volume).split(":"), compose)
    if "build" in service:
        check_dockerfile(name, Path(service["build"]["context"]), service["build"]["dockerfile"])
    else:
        expect(re.search(r":[0-9]", service["image"]), f"{name}: the image {service['image']} has no version")


def shell_scripts(service):
    test, entrypoint = service["healthcheck"]["test"], service.get("entrypoint") or []
    return ([test[1]] if test[0] == "CMD-SHELL" else []) + ([entrypoint[2]] if entrypoint[:2] == ["sh", "-c"] else [])


def check_volume(name, parts, compose):
    source = parts[0]
    if len(parts) == 1:
        return  # one of its own for each container
    if source.startswith("/"):
        expect(Path(source).exists(), f"{name}: mounts {source}, which is not there")
        expect(tracked(source), f"{name}: mounts {source}, which is not in the repository")
    else:
        expect(source in compose["volumes"], f"{name}: the volume {source} is not declared")


def tracked(path):
    """Whether git knows the file, or a file below the folder, or would take it."""
    return bool(run(["git", "ls-files", "--cached", "--others", "--exclude-standard", path], cwd=ROOT)[1])


def check_dockerfile(name, context, path):
    file = context / path
    if not file.exists():
        return expect(False, f"{name}: no {path}")
    text = re.sub(r"\\\n", " ", file.read_text())
    stages, ignored = set(), dockerignore(context)
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            stages |= set(re.findall(r" AS (\S+)", line))
        if word != "COPY":
            continue
        *sources, _ = [part for part in rest.split() if not part.startswith("--")]
        if "--from=" in rest:
            expect(re.search(r"--from=(\S+)", rest).group(1) in stages, f"{path}: no stage before `{line}`")
            continue
        for source in sources:
            expect((context / source).exists() and tracked(source), f"{path}: COPY {source}: not in the repository")
            expect(any(source == kept or source.startswith(kept + "/") for kept in ignored), f".dockerignore hides {source}")
    last = text.rsplit("\nFROM ", 1)[-1]
    expect(re.search(r"^USER (?!0|root)", last, re.M), f"{path}: it would run as root")
    expect("HEALTHCHECK" in last, f"{path}: no HEALTHCHECK")


def dockerignore(context):
    lines = (context / ".dockerignore").read_text().splitlines()
    expect("*" in lines, ".dockerignore: does not begin with nothing")
    return [line[1:] for line in lines if line.startswith("!")]


def setting(script, name):
    return re.search(rf"^{name}=(\S+)", (ROOT / "scripts" / script).read_text(), re.M).group(1)


def check_versions():
    """The compiler in the image is not older than what the workspace asks for, and the servers are those of the scripts."""
    wanted = re.search(r'rust-version = "([\d.]+)"', (ROOT / "Cargo.toml").read_text()).group(1)
    taken = re.search(r"RUST_VERSION=([\d.]+)", (ROOT / "deploy/Dockerfile").read_text()).group(1)
    number = lambda text: [int(part) for part in text.split(".")]
    expect(number(taken) >= number(wanted), f"Dockerfile: Rust {taken} is older than {wanted}")
    dockerfile = (ROOT / "deploy/s3.Dockerfile").read_text()
    expect(setting("lib.sh", "VERSITYGW_VERSION") in dockerfile, "s3.Dockerfile: another versitygw than the scripts'")
    expect(f"trinodb/trino:{setting('engines.sh', 'TRINO_VERSION')}" in COMPOSE.read_text(), "another Trino than the scripts'")
    members = re.search(r"members = \[(.*?)\]", (ROOT / "Cargo.toml").read_text()).group(1)
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    for member in re.findall(r'"(\w+)"', members):
        expect(f"COPY {member}/Cargo.toml" in dockerfile, f"Dockerfile: the manifest of {member} is not copied")


def check_program(icehaul, name, service, folder):
    """The program takes exactly this command and exactly these variables."""
    command, environment = service["command"], service["environment"]
    plain = {"PATH": os.environ["PATH"], "HOME": folder}
    code, _, said = run([icehaul, *command, "--help"], env=plain, cwd=folder)
    expect(code == 0, f"{name}: icehaul {' '.join(command)}: {said}")
    strange = [key for key in environment if not key.startswith("ICEHAUL_")]
    expect(not strange, f"{name}: variables that the program does not read: {strange}")
    code, text, said = run([icehaul, "config", "check"], env={**plain, **environment}, cwd=folder)
    expect(code == 0, f"{name}: {said}")
    return json.loads(text) if code == 0 else None


def check_ours(icehaul, compose, folder):
    api, worker = (check_program(icehaul, name, compose["services"][name], folder) for name in OURS)
    if api and worker:
        expect(api["api"]["hosts"] == ["localhost", "api"], f"api.hosts: {api['api']['hosts']}")
        for section in ("api", "trino"):  # of the API alone
            del api[section], worker[section]
        expect(api == worker, "api and worker are configured differently")
        expect(api["file_roots"] == ["/data", "/samples"], f"file_roots: {api['file_roots']}")
    grace = compose["services"]["worker"]["stop_grace_period"]
    needed = worker and worker["worker"]["drain_seconds"] + worker["worker"]["stop_grace_seconds"] + 5
    seconds = sum(int(n) * {"h": 3600, "m": 60, "s": 1}[unit] for n, unit in re.findall(r"(\d+)([hms])", grace))
    expect(needed and seconds > needed, f"worker: stop_grace_period {grace} is shorter than its drain, {needed} s")
    expect("ports" not in compose["services"]["worker"], "worker: a published port cannot be scaled")


def check_ports(compose):
    published = {}
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            address, outside, inside = re.fullmatch(r"([\d.]+):(\d+):(\d+)(?:/tcp)?", str(port)).groups()
            expect(address == "127.0.0.1", f"{name}: port {outside} is open on {address}")
            published[outside] = name
            expect(listens_on(service, inside), f"{name}: nothing in its command or health check names port {inside}")
    expect(published == PUBLISHED, f"published ports: {published}")


def listens_on(service, port):
    words = json.dumps([service.get("command"), service.get("entrypoint"), service["healthcheck"]["test"]])
    return f":{port}" in words


def check_trino(service):
    """Every ${ENV:…} of the catalogs is given, and every variable that is given is used."""
    files = [Path(str(volume).split(":")[0]) for volume in service["volumes"]]
    files = [file for path in files for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    used = {name for file in files if file.is_file() for name in re.findall(r"\$\{ENV:(\w+)\}", file.read_text())}
    given = set(service.get("environment", {}))
    expect(used == given, f"trino: used but not given {sorted(used - given)}, given but not used {sorted(given - used)}")


def check_notebook(service):
    """Every variable that the notebook reads is given, and the other way round."""
    notebook = json.loads((ROOT / "notebooks/examples.ipynb").read_text())
    code = "".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    used = set(re.findall(r'setting\("(\w+)"', code))
    given = set(service["environment"]) - {"JUPYTER_TOKEN"}
    expect(used == given, f"jupyter: used but not given {sorted(used - given)}, given but not used {sorted(given - used)}")


def main(icehaul):
    with tempfile.TemporaryDirectory() as folder:
        compose = merged(made_env(folder))
        for name, service in compose["services"].items():
            check_service(name, service, compose)
        check_versions()
        check_ports(compose)
        check_ours(Path(icehaul).resolve(), compose, folder)
        check_trino(compose["services"]["trino"])
        check_notebook(compose["services"]["jupyter"])
    for fault in faults:
        print(fault)
    if faults:
        sys.exit(1)
    print(f"{len(compose['services'])} services: everything that they name exists")


if __name__ == "__main__":
    main(*sys.argv[1:])
