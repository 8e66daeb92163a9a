"""`python -m arriero`: the same as the command."""

from arriero.cli.main import main

if __name__ == "__main__":
    main()
