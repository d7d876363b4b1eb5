"""Civil affairs: the marriage register."""
