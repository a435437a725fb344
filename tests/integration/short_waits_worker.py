"""The command line with a login that is tried again soon, so that a test need not wait for two minutes.

Only times are shorter; ``tests/spec/test_kafka_login.py`` has the real ones.
"""

from worker import app
from worker.adapters.kafka import login as kafka_login
from worker.cli.main import main
from worker.health import BEAT_S

FACTOR = 0.08
_STANDSTILL_FACTOR = 0.02

if __name__ == "__main__":
    kafka_login.WAITS_S = tuple(wait_s * FACTOR for wait_s in kafka_login.WAITS_S)
    app._ASK_AGAIN_S = app._ASK_AGAIN_S * FACTOR
    app._STANDSTILL_S = app._STANDSTILL_S * _STANDSTILL_FACTOR
    vars(app)["BEAT_S"] = BEAT_S * FACTOR
    main()
