"""Starting, watching and killing the ranks of an attempt on this host. Stdlib only."""
