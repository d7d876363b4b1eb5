"""Twelve bugs that the platform must not have, to plant one by one: a checker that cannot fail proves nothing."""
