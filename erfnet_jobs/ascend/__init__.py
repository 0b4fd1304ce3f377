"""Ascend hosts: devices, rank tables, the environment of a rank. Stdlib only."""
