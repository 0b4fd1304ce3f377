"""The worker's figures for Prometheus."""
