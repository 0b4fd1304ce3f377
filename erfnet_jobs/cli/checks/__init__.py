"""The questions that `doctor` asks of this machine, its Redis and its registry, a module for each subject."""
