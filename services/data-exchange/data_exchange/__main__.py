"""`python -m data_exchange` runs the service until it is told to stop."""

from data_exchange.main import main

main()
