"""Variables that open the registry and its queues: no rank, and no program that one starts, gets them. Stdlib only."""

# Ranks talk to their supervisor only; what they run, print or dump must not hold these.
SECRETS = frozenset({"ERFNET_JOBS_BROKER_URL", "ERFNET_JOBS_DATABASE_URL", "PGPASSWORD"})
