"""The simulation finds each mutant, a change that breaks the protocol, within a few hundred seeds.

A mutant is the real task, or a port, with one change. The seeds are those that the unchanged task passes in
``test_protocol``. How many seeds each takes: ``pytest -s``, and docs/testing.md.
"""

import pytest
from msgspec import structs

from tests.simulation import mutants, repartition_mutants
from tests.simulation.broken_promise import BrokenPromiseError
from tests.simulation.faults import simulate
from tests.simulation.process import Parts, readable_engine
from worker.errors import Fatal

MOST_SEEDS = 500
"""The last mutant to be found takes two fifths of them."""

MUTATIONS = [
    Parts(task=mutants.WritesTheStoreBeforeTheCommit),
    Parts(task=mutants.TrustsTheGroupsOffsets),
    Parts(task=mutants.KeepsTheWatermarkOfALostDraft),
    Parts(task=mutants.KeepsTheStatesOfALostDraft),
    Parts(task=mutants.KeepsLiveStatesOverALoss),
    Parts(task=mutants.SendsALostDraftAgain),
    Parts(task=mutants.ReadsOnAfterAStopWhileRestoring),
    Parts(task=mutants.LosesTimersWhenItRestores),
    Parts(task=mutants.TriesAgainWhatWasTooMuch),
    Parts(task=mutants.TriesForEverWhatIsRefused),
    Parts(task=mutants.ClosesByTheClockWhileLagging),
    Parts(task=mutants.KeepsFiredTimersOverALoss),
    Parts(task=mutants.StopsAfterTheLastRecord),
    Parts(transaction=mutants.IgnoresFailedBatches),
    Parts(transaction=mutants.LeavesOutWhatItMayNotWrite),
    Parts(transaction=mutants.SharesItsEpoch),
    Parts(transaction=mutants.BeginsAfterALostAnswer),
    Parts(transaction=mutants.GoesOnAfterATimeout),
    Parts(transaction=mutants.TreatsALostCommitAsDone),
    Parts(changelog=mutants.RestoresWhatIsNotCommitted),
    Parts(task=repartition_mutants.ForwardsInATransactionOfItsOwn),
    Parts(task=repartition_mutants.RepartitionsWhatALostDraftHeld),
    Parts(task=repartition_mutants.KeepsNoOffsetOfTheRepartitionTopic),
    Parts(transaction=repartition_mutants.CommitsNoOffsetOfTheRepartitionTopic),
    Parts(task=repartition_mutants.RepartitionsWhatHasArrived),
    Parts(source=repartition_mutants.ReadsUndecidedRecords),
    Parts(task=repartition_mutants.ProcessesAgainAfterARebalance),
]


def changed_part(parts: Parts) -> str:
    """The name of the mutant."""
    usual = structs.astuple(Parts())
    (changed,) = [part for part in structs.astuple(parts) if part not in usual]
    return str(changed.__name__)


@pytest.mark.parametrize("parts", MUTATIONS, ids=changed_part)
def test_this_mutant_is_found(parts: Parts) -> None:
    for seed in range(MOST_SEEDS):
        try:
            simulate(seed, structs.replace(parts, engine=readable_engine))
        except (BrokenPromiseError, Fatal) as broken:
            print(f"{changed_part(parts)}: found by seed {seed}: {broken}")  # noqa: T201 - shown with -s
            return
    pytest.fail(f"not found within {MOST_SEEDS} seeds")
