"""The command line: one small file a command, each a shell around what does the work."""
