"""Real clients of other servers against serin."""
