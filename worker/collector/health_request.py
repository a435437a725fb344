"""Asks a collector on this machine how it is, as a container's probe does.

Decides how long it may take to answer. Needs no package but Python's own, so that a probe starts quickly. The
invariant: whatever goes wrong is an answer too, in one line.
"""

import http.client

from worker.config.address import Address
from worker.health import Verdict

_TIMEOUT_S = 5.0
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  an address that stands for all is asked on this machine


def ask(address: Address, path: str) -> Verdict:
    """Whether ``path`` is answered 200 at that address."""
    address = address._replace(host=_LOOPBACK.get(address.host, address.host))
    connection = http.client.HTTPConnection(address.host, address.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        return Verdict(False, f"http://{address}{path}: no answer: {why}")
    finally:
        connection.close()
    return Verdict(status == http.client.OK, f"http://{address}{path}: {status}")
