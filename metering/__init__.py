"""The contract between gateway and centre: what is measured, and how it travels. Imports nothing of ours."""
