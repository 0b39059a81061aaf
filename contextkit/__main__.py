"""`python -m contextkit`: the command line, where the script `contextkit` is not on the path."""

from contextkit.cli import main

if __name__ == "__main__":
    main()
