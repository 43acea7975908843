"""The verdict on the two accounts of a simulated run: what the agent said of itself last, and what the centre keeps."""

from centre.gaps import GapState, gaps_of
from centre.store.base import GatewayRow
from metering.parcel import ParcelId
from support.sim_centre import Account
from support.sim_ledger import POINTS, Wrong


def judge_counts(account: Account) -> None:
    """Raises Wrong when the store counts other readings than it holds, or the agent some as dropped."""
    held = sum(map(len, account.stored.values()))
    if account.totals.readings != held:
        raise Wrong(f"the store holds {held} readings and counts {account.totals.readings}")
    dropped = account.gateway.counters["dropped"]
    if dropped:
        raise Wrong(f"the agent counts {dropped} values as dropped, though its spool was never full")


def judge_agent(gateway: GatewayRow, *, told: int, buses: int) -> None:
    """Raises Wrong. `told`: replies in the last life of an agent with so many `buses`, each with a poll under way."""
    counters = gateway.counters
    most, least = len(POINTS) * told, len(POINTS) * (told - buses)
    if counters["parcels_pending"] or not least <= counters["acquired"] <= most:
        raise Wrong(f"the meters told {most} values, the agent says at its end {counters}")


def judge_gaps(gateway: GatewayRow) -> None:
    """The agent is at its end and holds nothing: raises Wrong when the centre waits for a parcel, or would for one."""
    missing = [gap for gap in gaps_of(gateway) if gap.state is GapState.MISSING]
    if missing:
        raise Wrong(f"the centre still waits for {missing[0]}")
    assert gateway.epoch is not None
    newest = ParcelId(epoch=gateway.epoch, seq=gateway.counters["parcels_sealed"])
    if gateway.settled is None or gateway.settled < newest:
        raise Wrong(f"the agent holds nothing up to {newest}, the centre takes it for {gateway.settled}")
