"""What the services and departments say to each other: events, topics, identifiers and the departments themselves."""
