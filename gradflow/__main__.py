"""`python -m gradflow`: the same command line as `gradflow`."""

from gradflow.cli import main

if __name__ == "__main__":
    main()
