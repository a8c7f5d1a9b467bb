"""The one exception whose message is for the user."""


class UserError(Exception):
    """Bad input. The message is one line: what was found, where, what is allowed, what to do."""
