"""The proof can fail: each of these ways to break the protocol is found within a few hundred seeds.

A mutation is one wrong habit, put into the real task, or into what a port does for it. The seeds are those
that the unbroken task passes in ``test_protocol``. How many each takes: ``pytest -s``, and docs/testing.md.
"""

import pytest
from msgspec import structs

from tests.simulation import habits, repartition_habits
from tests.simulation.broken import BrokenPromiseError
from tests.simulation.faults import simulate
from tests.simulation.process import Parts
from worker.errors import Fatal

MOST_SEEDS = 500
"""The slowest to be found takes a fifth of them."""

MUTATIONS = [
    Parts(task=habits.WritesTheStoreBeforeTheCommit),
    Parts(task=habits.TrustsTheGroupsOffsets),
    Parts(task=habits.KeepsTheWatermarkOfALostDraft),
    Parts(task=habits.KeepsTheStatesOfALostDraft),
    Parts(task=habits.KeepsLiveStatesOverALoss),
    Parts(task=habits.SendsALostDraftAgain),
    Parts(task=habits.ReadsOnAfterAStopWhileRestoring),
    Parts(task=habits.ForgetsTimersWhenItRestores),
    Parts(task=habits.TriesAgainWhatWasTooMuch),
    Parts(task=habits.TriesForEverWhatIsRefused),
    Parts(task=habits.ClosesByTheClockWhileLagging),
    Parts(task=habits.KeepsFiredTimersOverALoss),
    Parts(task=habits.StandsBehindTheLastRecord),
    Parts(transaction=habits.IgnoresFailedBatches),
    Parts(transaction=habits.LeavesOutWhatItMayNotWrite),
    Parts(transaction=habits.SharesItsEpoch),
    Parts(transaction=habits.BeginsAfterALostAnswer),
    Parts(transaction=habits.GoesOnAfterATimeout),
    Parts(transaction=habits.TakesALostCommitForDone),
    Parts(changelog=habits.RestoresWhatIsNotCommitted),
    Parts(task=repartition_habits.ForwardsInATransactionOfItsOwn),
    Parts(task=repartition_habits.SendsOnWhatALostDraftHeld),
    Parts(task=repartition_habits.KeepsNoOffsetOfTheRepartitionTopic),
    Parts(transaction=repartition_habits.CommitsNoOffsetOfTheRepartitionTopic),
    Parts(task=repartition_habits.SendsOnWhatHasArrived),
    Parts(source=repartition_habits.ReadsWhatIsNotDecided),
    Parts(task=repartition_habits.TakesWhatComesAgainAfterARebalance),
]


def changed_part(parts: Parts) -> str:
    """The name of what is not as it should be."""
    usual = structs.astuple(Parts())
    (changed,) = [part for part in structs.astuple(parts) if part not in usual]
    return str(changed.__name__)


@pytest.mark.parametrize("parts", MUTATIONS, ids=changed_part)
def test_this_habit_is_found_out(parts: Parts) -> None:
    for seed in range(MOST_SEEDS):
        try:
            simulate(seed, parts)
        except (BrokenPromiseError, Fatal) as broken:
            print(f"{changed_part(parts)}: found by seed {seed}: {broken}")  # noqa: T201 - shown with -s
            return
    pytest.fail(f"not found within {MOST_SEEDS} seeds")
