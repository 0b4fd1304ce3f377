"""`python -m erfnet_jobs` is the command `erfnet-jobs`."""

from erfnet_jobs.cli import main

main()
