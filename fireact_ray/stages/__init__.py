"""The thin layer on Ray. What Ray reads from the environment as it is imported is set here, before any stage does."""

import os

# Seconds in which a node of this machine may start, instead of 30: machines are busy. Not more, as a dead raylet
# is waited for as long. See stages.starting.
os.environ.setdefault("RAY_raylet_start_wait_time_s", "75")
