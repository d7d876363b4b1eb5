"""Measures the whole pipeline on one machine: HTTP in, Kafka, departments, Postgres, everything durable."""
