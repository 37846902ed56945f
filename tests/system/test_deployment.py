"""Files of deploy/ and compose.yaml: what they name is there, and no secret stands in them."""

import json
import re

import yaml

from fairmeter.cli.desk import COMMANDS
from fairmeter.cli.settings import Settings
from tests.builders.delivery import ROOT

DEPLOY = ROOT / "deploy"
OF_GUNICORN = {"PORT", "WEB_CONCURRENCY"}
SETTINGS = {name.upper() for name in Settings.model_fields} | OF_GUNICORN


def compose():
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def manifests():
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def containers():
    for manifest in manifests():
        spec = manifest.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        for container in spec.get("template", {}).get("spec", {}).get("containers", []):
            yield spec["template"]["spec"], container


def test_services_of_compose_have_settings_that_exist_and_secrets_from_outside():
    services = compose()["services"]
    ours = [each for each in services.values() if each["image"].startswith("fairmeter") and "environment" in each]
    assert len(ours) == 4
    for service in ours:
        assert set(service["environment"]) <= SETTINGS
        assert service["read_only"]
        assert all("${" in service["environment"][name] for name in ("DATABASE_URL", "AUDIT_KEY", "MQTT_URL"))
    assert {port.split(":")[0] for each in services.values() for port in each.get("ports", [])} == {"127.0.0.1"}


def test_commands_of_compose_and_of_the_manifests_exist():
    commands = {"listen", "notify"}
    given = [each.get("command", []) for each in compose()["services"].values()]
    given += [container.get("command", []) for _, container in containers()]
    named = {found for each in given for found in re.findall(r"flask --app predict ([a-z-]+)", " ".join(each))}
    assert named == commands
    assert commands <= COMMANDS.keys()


def test_pods_are_locked_down_and_probed_at_routes_that_exist():
    found = list(containers())
    assert [container["name"] for _, container in found] == ["fairmeter", "notify", "score"]
    for pod, container in found:
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["resources"]["limits"]["memory"]
    service = found[0][1]
    assert {service[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")} == {
        "/health",
        "/ready/scoring",
    }
    assert {each["name"] for each in service["env"]} <= SETTINGS


def test_the_jobs_image_has_what_its_dockerfile_copies():
    lines = (DEPLOY / "jobs.Dockerfile").read_text().splitlines()
    copied = {name for line in lines if line.startswith("COPY") and "--from" not in line for name in line.split()[1:-1]}
    ignored = (DEPLOY / "jobs.Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert {"train.py", "score.py"} <= copied
    assert all((ROOT / name).exists() for name in copied)
    main = (ROOT / "Dockerfile").read_text()
    assert all(line in main for line in lines if line.startswith(("FROM", "RUN pip install", "RUN useradd", "USER")))


def test_alarms_and_panels_can_be_parsed():
    assert len(yaml.safe_load((DEPLOY / "prometheus-alerts.yaml").read_text())["groups"][0]["rules"]) > 8
    assert len(json.loads((DEPLOY / "grafana-dashboard.json").read_text())["panels"]) > 8


def test_alarms_and_panels_ask_for_metrics_that_the_service_has():
    code = "\n".join(path.read_text() for path in (ROOT / "fairmeter").rglob("*.py"))
    known = set(re.findall(r'"(fairmeter_[a-z_]+)"', code))
    known |= {f"{name}{ending}" for name in known for ending in ("_total", "_bucket", "_count", "_sum")}
    for name in ("prometheus-alerts.yaml", "grafana-dashboard.json"):
        asked = set(re.findall(r"fairmeter_[a-z_]+", (DEPLOY / name).read_text()))
        assert len(asked) > 5
        assert asked <= known
