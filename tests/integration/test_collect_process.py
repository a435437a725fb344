"""``sessionizer collect`` as a process: how it starts, answers while it ends, and reads its keys again."""

import asyncio
import http.client
import json
import signal
import ssl
from pathlib import Path

from testing.collector_process import CollectorProcess
from testing.kafka.broker import LocalBroker
from testing.kafka.certificates import Authority, Certificate
from testing.wait import wait_until
from tests.chaos.deployment import Deployment
from tests.integration.collector_clients import (
    HEADERS,
    KEY,
    PATIENCE_S,
    Senders,
    ask,
    event,
    made,
    pending,
    post,
    stored,
    write_keys,
)


def test_what_is_answered_200_is_in_the_raw_topic(
    collector: CollectorProcess, deployment: Deployment
) -> None:
    collector.start_and_wait()
    assert post(collector.port, event("1"), event("2", "d2")) == 200
    assert post(collector.port, event("3"), headers={"X-Write-Key": "wk_nobody_has_this_one"}) == 401
    assert sorted(stored(deployment)) == ["1", "2"]
    assert asyncio.run(collector.stop(timeout_s=30)) == 0
    (started,) = collector.log("collect.started")
    assert started["listen"] == f"127.0.0.1:{collector.port}"
    statuses = collector.log("collect.status")
    assert sum(line["events_accepted"] for line in statuses) == 2
    assert sum(line["answers"].get("401", 0) for line in statuses) == 1
    assert [line["ack_p50_ms"] > 0 for line in statuses if line["events_accepted"]] == [True]
    assert collector.log("collect.stopped")
    assert KEY not in collector.raw_log()


def test_refused_events_are_counted_by_key_name_and_reason(collector: CollectorProcess) -> None:
    collector.start_and_wait()
    broken = {name: value for name, value in event("1").items() if name != "device_id"}
    assert post(collector.port, event("2"), broken) == 200
    asyncio.run(collector.wait_for("collect.refused"))
    (line,) = collector.log("collect.refused")
    assert line["by_key_name"] == {"servers": {"missing_field": 1}}
    _, metrics = ask(collector.admin_port, "GET", "/metrics")
    assert isinstance(metrics, str)
    assert 'sessionizer_collect_events_total{outcome="refused",reason="missing_field"} 1.0' in metrics
    assert 'sessionizer_collect_events_total{outcome="accepted",reason=""} 1.0' in metrics
    assert "sessionizer_collect_keys_loaded 1.0" in metrics
    assert "sessionizer_collect_ack_seconds_count 1.0" in metrics


def test_what_the_server_itself_refuses_is_answered_in_the_same_form_and_counted(
    collector: CollectorProcess,
) -> None:
    collector.start_and_wait()
    status, body = ask(collector.port, "POST", "/v1/events", "x" * 1_000_001)
    assert (status, body) == (413, {"error": "too_large", "limit": 1_000_000})
    _, metrics = ask(collector.admin_port, "GET", "/metrics")
    assert 'sessionizer_collect_requests_total{status="413"} 1.0' in metrics


def test_sigterm_under_load_loses_nothing_that_was_answered_200_and_cuts_nobody_off(
    collector: CollectorProcess, deployment: Deployment
) -> None:
    collector.start_and_wait()
    senders = Senders(collector.port)
    senders.start(16)
    wait_until(lambda: senders.total() > 200, what="the load is there", timeout_s=PATIENCE_S)
    before = senders.total()
    collector.signal(signal.SIGTERM)
    asyncio.run(collector.wait_for("collect.draining"))
    assert ask(collector.admin_port, "GET", "/readyz") == (503, "not ready\n")
    assert asyncio.run(collector.ended(timeout_s=PATIENCE_S)) == 0
    senders.join()
    assert senders.broken == []
    assert senders.refused_connections == 16
    assert senders.answered.keys() <= {200, 503}
    assert len(senders.answered[200]) > before  # served on while draining
    assert set(senders.answered[200]) <= set(stored(deployment))


def test_each_answer_while_draining_closes_its_connection(collector: CollectorProcess) -> None:
    collector.start_and_wait()
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=PATIENCE_S)
    connection.request("POST", "/v1/events", json.dumps([event("1")]), HEADERS)
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("connection"), answer.read()[:1]) == (200, None, b"{")
    collector.signal(signal.SIGTERM)
    asyncio.run(collector.wait_for("collect.draining"))
    connection.request("POST", "/v1/events", json.dumps([event("2")]), HEADERS)
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("connection")) == (200, "close")
    connection.close()


def test_sigint_waits_for_nobody(collector: CollectorProcess) -> None:
    collector._environment["SESSIONIZER_COLLECT_DRAIN_DELAY_S"] = "600"
    collector.start_and_wait()
    collector.signal(signal.SIGINT)
    assert asyncio.run(collector.ended(timeout_s=PATIENCE_S)) == 0


def test_a_second_sigterm_ends_the_delay(collector: CollectorProcess) -> None:
    collector._environment["SESSIONIZER_COLLECT_DRAIN_DELAY_S"] = "600"
    collector.start_and_wait()
    collector.signal(signal.SIGTERM)
    asyncio.run(collector.wait_for("collect.draining"))
    assert post(collector.port, event("1")) == 200
    collector.signal(signal.SIGTERM)
    assert asyncio.run(collector.ended(timeout_s=PATIENCE_S)) == 0


def test_sighup_reads_the_keys_again_and_stops_nothing(collector: CollectorProcess, keys_file: Path) -> None:
    collector.start_and_wait()
    write_keys(keys_file, servers="wk_that_came_afterwards")
    collector.signal(signal.SIGHUP)
    asyncio.run(collector.wait_for("collect.keys_loaded", 2))
    assert post(collector.port, event("1")) == 401
    keys_file.write_text("[[keys]]\n")
    collector.signal(signal.SIGHUP)
    asyncio.run(collector.wait_for("collect.keys_invalid"))
    assert post(collector.port, event("1"), headers={"X-Write-Key": "wk_that_came_afterwards"}) == 200
    assert [line["action"] for line in collector.log("signal.received")] == ["reload", "reload"]


def test_a_certificate_is_used_as_soon_as_it_is_read_again_and_a_broken_one_never(
    collector: CollectorProcess, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    first, second = authority.issue("first"), authority.issue("second")
    certificate, key = tmp_path / "tls.pem", tmp_path / "tls.key"
    certificate.write_bytes(first.certificate.read_bytes())
    key.write_bytes(first.key.read_bytes())
    collector._environment["SESSIONIZER_COLLECT_TLS_CERTFILE"] = str(certificate)
    collector._environment["SESSIONIZER_COLLECT_TLS_KEYFILE"] = str(key)
    collector.start_and_wait()
    assert collector.log("collect.started")[0]["tls"] is True
    assert served_certificate(collector) == pem_of(first)
    certificate.write_bytes(second.certificate.read_bytes())
    collector.signal(signal.SIGHUP)
    asyncio.run(collector.wait_for("collect.keys_invalid"))
    assert "the key is that of another certificate" in collector.log("collect.keys_invalid")[0]["reason"]
    assert served_certificate(collector) == pem_of(first)
    key.write_bytes(second.key.read_bytes())
    collector.signal(signal.SIGHUP)
    asyncio.run(collector.wait_for("credentials.reloaded"))
    assert served_certificate(collector) == pem_of(second)
    assert asyncio.run(collector.stop(timeout_s=PATIENCE_S)) == 0


def served_certificate(collector: CollectorProcess) -> str:
    return ssl.get_server_certificate(("127.0.0.1", collector.port), timeout=PATIENCE_S)


def pem_of(certificate: Certificate) -> str:
    """The certificate alone, without those of its authorities."""
    text = certificate.certificate.read_text()
    end = "-----END CERTIFICATE-----\n"
    return text[: text.index(end)] + end


def test_it_starts_without_brokers_says_so_and_goes_on_when_they_come(
    local_broker: LocalBroker,
    collectors: list[CollectorProcess],
    keys_file: Path,
    topic_prefix: str,
    tmp_path: Path,
) -> None:
    with Deployment(local_broker.bootstrap_servers, topic_prefix, tmp_path) as deployment:
        asyncio.run(deployment.create_topics(2))
        local_broker.stop()
        collector = made(collectors, deployment.environment, keys_file, tmp_path)
        collector.start()
        asyncio.run(collector.wait_for("collect.kafka_away"))
        assert ask(collector.admin_port, "GET", "/healthz") == (200, "ok\n")
        assert ask(collector.port, "GET", "/readyz")[0] == 503
        assert ask(collector.port, "POST", "/v1/events", json.dumps([event("1")])) == (
            503,
            {"error": "unavailable"},
        )
        local_broker.start()
        asyncio.run(collector.wait_for("collect.kafka_back"))
        wait_until(collector.is_ready, what="it is ready")
        assert post(collector.port, event("2")) == 200
        assert stored(deployment) == ["2"]


def test_a_second_collector_on_the_same_address_says_so_in_one_line(
    collector: CollectorProcess,
    collectors: list[CollectorProcess],
    deployment: Deployment,
    keys_file: Path,
    tmp_path: Path,
) -> None:
    collector.start_and_wait()
    second = made(collectors, deployment.environment, keys_file, tmp_path)
    second._environment["SESSIONIZER_COLLECT_LISTEN"] = f"127.0.0.1:{collector.port}"
    second.start()
    assert asyncio.run(second.ended(timeout_s=PATIENCE_S)) == 1
    (line,) = second.log()
    assert line["event"] == "collect.failed"
    assert line["reason"] == (
        f"collect.listen = 127.0.0.1:{collector.port}: cannot listen there: "
        "another process listens there already"
    )


def test_without_its_topic_it_ends_with_the_remedy(
    deployment: Deployment, collectors: list[CollectorProcess], keys_file: Path, tmp_path: Path
) -> None:
    collector = made(collectors, deployment.environment, keys_file, tmp_path)
    collector.start()
    assert asyncio.run(collector.ended(timeout_s=PATIENCE_S)) == 1
    (failed,) = collector.log("collect.failed")
    assert failed["reason"].startswith(f"{deployment.config.topics.raw}: ")
    assert "sessionizer topics create" in failed["reason"]


def test_the_drain_outlasts_the_time_that_an_acknowledgement_may_take(
    local_broker: LocalBroker,
    collectors: list[CollectorProcess],
    keys_file: Path,
    topic_prefix: str,
    tmp_path: Path,
) -> None:
    with Deployment(local_broker.bootstrap_servers, topic_prefix, tmp_path) as deployment:
        asyncio.run(deployment.create_topics(1))
        patient = {
            "COLLECT_ACK_TIMEOUT_MS": "24000",  # more than the 20 s that the default leaves for everything
            "COLLECT_STALL_MS": "23000",
            "COLLECT_DRAIN_DELAY_S": "0",
        }
        collector = made(collectors, deployment.environment, keys_file, tmp_path, **patient)
        collector.start_and_wait()
        local_broker.pause()
        senders = Senders(collector.port)
        senders.start(3)
        wait_until(lambda: pending(collector) > 0, what="requests wait", timeout_s=PATIENCE_S)
        collector.signal(signal.SIGTERM)
        assert asyncio.run(collector.ended(timeout_s=PATIENCE_S)) == 0
        local_broker.resume()
        senders.join()
        assert senders.broken == []
        assert senders.answered.keys() == {503}
