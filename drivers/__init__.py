"""Devices to sweeps: the driver protocol, Modbus with its device profiles, and simulated devices."""
