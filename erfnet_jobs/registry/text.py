"""Text that both databases take, whatever file names and programs put into it."""


def printable(text: str) -> str:
    """Without NUL, which PostgreSQL refuses, and without bytes that are no UTF-8, which stand as lone surrogates."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
