"""The command line: one small file for each command. The work is done elsewhere."""
