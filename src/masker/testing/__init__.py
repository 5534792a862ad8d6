"""Rules, put to the test."""
