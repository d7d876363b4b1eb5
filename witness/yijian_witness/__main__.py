"""`python -m yijian_witness` runs the witness until it is told to stop."""

from yijian_witness.main import main

main()
