"""What every process of Wattline stands on: the command, the clock, log events, strict YAML, the broker, systemd."""

__version__ = "0.1.0"
