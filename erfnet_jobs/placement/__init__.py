"""Which job gets which devices: a pure decision. Stdlib only.

Jobs are served by priority, then by age. A job gets all its devices or none: on the one host that it fills best, or on
several hosts of one storage and family where no open host alone could ever hold it. One that has waited for long keeps
what is free where it waits, so that it is not starved by smaller ones; until then they may go before it.
"""

from erfnet_jobs.placement.decide import place
from erfnet_jobs.placement.ever import can_ever_run
from erfnet_jobs.placement.families import CPU_FAMILY, families_of_kind
from erfnet_jobs.placement.forecast import Holding, end_of_all, first_free
from erfnet_jobs.placement.model import Decision, Demand, HostState
from erfnet_jobs.placement.reasons import none_open

__all__ = [
    "CPU_FAMILY",
    "Decision",
    "Demand",
    "Holding",
    "HostState",
    "can_ever_run",
    "end_of_all",
    "families_of_kind",
    "first_free",
    "none_open",
    "place",
]
