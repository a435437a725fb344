"""All tests; what each folder is for: docs/testing.md."""
