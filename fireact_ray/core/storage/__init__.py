"""Run folders: files, rows, inputs, leases."""
