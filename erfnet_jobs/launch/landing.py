"""Whether ranks have landed where the plan has them. Pure; stdlib only."""

from erfnet_jobs.plan import Plan
from erfnet_jobs.reports import Hello


def misplaced(plan: Plan, hello: Hello) -> str | None:
    """What is wrong with where a rank says it is; None where that is the plan.

    MindSpore gives the ranks, from the rank table where there is one: a process may be another rank than it was started
    as, and then trains on another shard, and on Ascend speaks for another device.
    """
    if hello.world_size != plan.world_size:
        return f"rank {hello.rank} is one of {hello.world_size}, and the plan has {plan.world_size}"
    planned = next((place for place in plan.ranks if place.rank == hello.rank), None)
    if planned is None:
        return f"{hello.host} device {hello.device} is rank {hello.rank}, which the plan does not have"
    if (hello.host, hello.device) != (planned.host, planned.device):
        return (
            f"rank {hello.rank} was to be on {planned.host} device {planned.device}, "
            f"and is on {hello.host} device {hello.device}"
        )
    return None
