"""`python -m identity` runs the service until it is told to stop."""

from identity.main import main

main()
