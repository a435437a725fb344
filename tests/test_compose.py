"""docker-compose.yml fits the worker it starts: its options exist, its parts find each other."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.kafka.settings import IMAGE
from worker.collector.process import stops_within_s
from worker.config import load
from worker.config.address import address_of
from worker.config.key_entries import digest_of, read
from worker.config.load import PREFIX, VARIABLES

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
WORKERS = {name: service for name, service in SERVICES.items() if service.get("command", [""])[0] == "run"}
COLLECTOR = SERVICES["collector"]
OURS = {name: service for name, service in SERVICES.items() if service.get("image") == COMPOSE["name"]}


def environment_of(service: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def config_file_of(service: dict[str, Any]) -> Path:
    """The file in this checkout that the image has under the path of ``--config``."""
    command: list[str] = service["command"]
    path = Path(command[command.index("--config") + 1])
    assert path.parent == Path("/etc/sessionizer"), "the image has config/ there"
    return ROOT / "config" / path.name


def seconds(duration: str) -> float:
    assert duration.endswith("s")
    return float(duration[:-1])


def test_it_has_a_broker_a_step_that_makes_topics_a_collector_two_workers_traffic_and_a_console() -> None:
    assert {"kafka", "topics", "traffic", "collector", "console"} < SERVICES.keys()
    assert len(WORKERS) == 2


def test_each_of_our_variables_is_an_option() -> None:
    given = {name for service in SERVICES.values() for name in environment_of(service)}
    assert {name for name in given if name.startswith(PREFIX)} <= VARIABLES.keys()


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_s_configuration_loads_without_a_fault_or_a_warning(name: str) -> None:
    config = load(config_file_of(WORKERS[name]), environment_of(WORKERS[name]))
    assert config.kafka.bootstrap_servers == "kafka:9092"


def test_each_worker_has_a_name_and_a_state_volume_of_its_own() -> None:
    names = [
        load(config_file_of(worker), environment_of(worker)).kafka.group_instance_id
        for worker in WORKERS.values()
    ]
    volumes = [volume.split(":")[0] for worker in WORKERS.values() for volume in worker["volumes"]]
    assert len(set(names)) == len(WORKERS)
    assert len(set(volumes)) == len(WORKERS)
    assert set(volumes) <= COMPOSE["volumes"].keys()


def test_the_state_lies_on_the_volume() -> None:
    for worker in WORKERS.values():
        directory = Path(load(config_file_of(worker), environment_of(worker)).state.directory)
        assert directory == Path("/var/lib/sessionizer")
        assert [volume.split(":")[1] for volume in worker["volumes"]] == [str(directory)]


def test_a_worker_has_longer_to_stop_than_it_needs() -> None:
    for worker in WORKERS.values():
        assert seconds(worker["stop_grace_period"]) > 10


def test_our_containers_cannot_write_outside_their_volumes_nor_gain_privileges() -> None:
    assert OURS.keys() >= WORKERS.keys()
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "privileged" not in service


def test_whoever_is_waited_for_until_healthy_has_a_health_check() -> None:
    for service in SERVICES.values():
        for other, awaited in service.get("depends_on", {}).items():
            assert awaited["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]


def test_workers_are_probed_by_their_health_file_and_nobody_else_is() -> None:
    """The image says where the file is: on the volume, for the rest of a container is read-only."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    (variable,) = [line.split()[1] for line in dockerfile.splitlines() if line.startswith("ENV SESSIONIZER_")]
    name, path = variable.split("=")
    assert VARIABLES[name] == "health.file"
    for worker in WORKERS.values():
        assert worker["healthcheck"]["test"] == ["CMD", "sessionizer", "health"]
        assert str(Path(path).parent) in [volume.split(":")[1] for volume in worker["volumes"]]
    for service_name, service in OURS.items():
        probed = service_name in {*WORKERS, "collector", "page"}
        assert probed or service["healthcheck"] == {"disable": True}


def test_the_collector_is_reached_probed_and_stopped_as_it_is_configured() -> None:
    here = {"SESSIONIZER_COLLECT_KEYS_FILE": str(ROOT / "deploy" / "keys.toml")}
    config = load(config_file_of(COLLECTOR), environment_of(COLLECTOR) | here, collects=True)
    assert COLLECTOR["healthcheck"]["test"] == ["CMD", "sessionizer", "collect", "health"]
    listen = address_of(config.collect.listen)
    assert listen is not None
    assert [port.rpartition(":")[2] for port in COLLECTOR["ports"]] == [str(listen.port)]
    assert f"EXPOSE {listen.port}\n" in (ROOT / "Dockerfile").read_text()
    assert seconds(COLLECTOR["stop_grace_period"]) > stops_within_s(config)
    assert COLLECTOR["ulimits"]["nofile"]["hard"] > config.collect.max_connections


def test_the_page_sends_to_the_collector_with_a_key_of_its_own_origin() -> None:
    page = SERVICES["page"]
    config = load(config_file_of(page), environment_of(page))
    listen = address_of(config.live.listen)
    assert listen is not None
    (port,) = page["ports"]
    assert port == f"127.0.0.1:{listen.port}:{listen.port}"
    (collector_port,) = COLLECTOR["ports"]
    assert config.live.collector == f"http://localhost:{collector_port.split(':')[1]}"
    digest = digest_of(config.live.write_key.reveal().encode())
    (key,) = [key for key in read(ROOT / "deploy" / "keys.toml").keys if key.sha256 == digest]
    assert {f"http://localhost:{listen.port}", f"http://127.0.0.1:{listen.port}"} <= set(key.origins)
    assert f"http://localhost:{listen.port}/healthz".partition("://localhost")[2] in str(page["healthcheck"])
    assert f"?token={config.live.token.reveal()} " in (ROOT / "docker-compose.yml").read_text()


def test_the_keys_of_the_collector_are_those_that_the_files_name() -> None:
    """One key is a server's and one is for pages, the live page's among them."""
    (mounted,) = COLLECTOR["volumes"]
    source, target, mode = mounted.split(":")
    assert (target, mode) == (environment_of(COLLECTOR)["SESSIONIZER_COLLECT_KEYS_FILE"], "ro")
    found = read(ROOT / source)
    assert not found.faults
    text = (ROOT / source).read_text()
    named = [line.split("The key ")[1].split(":")[0] for line in text.splitlines() if "The key " in line]
    assert [key.sha256 for key in found.keys] == [digest_of(key.encode()) for key in named]
    servers, pages = found.keys
    assert (servers.origins, "http://localhost:8700" in pages.origins) == ((), True)


def test_it_runs_the_broker_that_the_tests_run() -> None:
    assert SERVICES["kafka"]["image"] == IMAGE


def test_ports_are_open_to_this_machine_only() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
