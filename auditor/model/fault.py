"""How a command ends that cannot do what it was asked for."""


class CommandError(Exception):
    """The text is one line for a person: what happened, and what to do."""
