"""What the platform says when it cannot go on."""


class PlatformError(Exception):
    """One clear sentence for the person at the terminal: what is wrong and what to do about it."""


class ProcessEndedError(PlatformError):
    """A process ended before it was ready."""
