"""The exception whose message is shown to the user."""


class UserError(Exception):
    """Bad input. The message is one line: what was found, where, what is allowed, what to do."""
