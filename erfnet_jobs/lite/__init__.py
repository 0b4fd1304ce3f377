"""MindSpore Lite on this host: the C++ program, its converter, and what they say. Stdlib only."""
