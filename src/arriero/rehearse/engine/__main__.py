"""`python -m arriero.rehearse.engine serve`."""

from arriero.rehearse.engine.main import main

main()
