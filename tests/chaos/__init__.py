"""Real worker processes on a real broker, what is done to them, and the promises that must hold then."""
