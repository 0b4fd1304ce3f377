"""The click commands: arguments, calls and printing, nothing else."""
