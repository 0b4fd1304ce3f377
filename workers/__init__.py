"""The Celery app, its thin tasks, the supervisor, and the rounds of a host."""
