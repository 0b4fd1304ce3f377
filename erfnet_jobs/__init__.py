"""Submit, place, run and record ERFNet jobs on Ascend hosts."""

__version__ = "0.1.0"
