"""Everything that stands between a click and its row on the live page, as processes on a real broker.

Decides how they are configured and started. Knows nothing of the page. Invariants: page and collector are
different origins, and the page's key is for its origin alone; no process outlives the scene.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from testing.collector_process import CollectorProcess
from testing.live_process import LiveProcess
from testing.worker_process import WorkerProcess
from tests.chaos.deployment import Deployment

PAGE_KEY, OTHER_KEY = "wk_page_of_this_test", "wk_of_another_page"


class Scene:
    """A worker, a collector and a page's server, which run and may be stopped, killed and started again."""

    def __init__(self, bootstrap_servers: str, prefix: str, directory: Path) -> None:
        keys = directory / "keys.toml"
        deployment = Deployment(
            bootstrap_servers,
            prefix,
            directory,
            {
                "COLLECT_KEYS_FILE": str(keys),
                "COLLECT_REFUSED": "forward",
                "COLLECT_DRAIN_DELAY_S": "0",
                "LIVE_WRITE_KEY": PAGE_KEY,
                "SESSION_EVENT_TYPES": '{"logout": "unlink"}',
            },
        )
        self.environment = deployment.environment
        self.worker: WorkerProcess = deployment.worker("worker")
        self.collector = CollectorProcess(self.environment, directory)
        collector = {"SESSIONIZER_LIVE_COLLECTOR": self.collector.url}
        self.live = LiveProcess({**self.environment, **collector}, directory)
        keys.write_text(
            _key("page", PAGE_KEY, self.live.url) + _key("other", OTHER_KEY, "https://other.example")
        )

    def create_topics(self) -> None:
        """Make the topics, in a process of its own: a browser's event loop may run in this one."""
        command = [sys.executable, "-m", "worker", "topics", "create", "--partitions", "2"]
        environment = {**os.environ, **self.environment}
        subprocess.run(
            [*command, "--replication-factor", "1"], env=environment, check=True, capture_output=True
        )


def _key(name: str, key: str, origin: str) -> str:
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f'[[keys]]\nname = "{name}"\nsha256 = "{digest}"\norigins = ["{origin}"]\n\n'


@contextlib.contextmanager
def running_scene(bootstrap_servers: str, prefix: str, directory: Path) -> Iterator[Scene]:
    """All of it, started and ready, within the block."""
    scene = Scene(bootstrap_servers, prefix, directory)
    processes = (scene.worker, scene.collector, scene.live)
    try:
        scene.create_topics()
        scene.worker.start()
        scene.live.start()
        scene.collector.start_and_wait()
        yield scene
    finally:
        for process in processes:
            if process.running:
                process.kill()
