"""The run folder on any filesystem: files, rows, inputs, leases."""
