"""What stops a program at its door."""


class ConfigError(Exception):
    """A file that cannot be used; a line for each mistake: `FILE:LINE: KEY: what, and what would be right`."""
