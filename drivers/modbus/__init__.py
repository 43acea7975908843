"""Modbus meters: profiles in YAML, reads planned and decoded from them, and a link that checks every reply."""
