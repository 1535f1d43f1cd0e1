"""One function per command: its options, the stage it calls, and what it prints."""
